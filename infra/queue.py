"""What wakes a consumer: one queue with its dead letters, and one rule on the bus for what it subscribes to."""

from collections.abc import Mapping, Sequence
from typing import cast

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.function import MeshFunction
from infra.mesh import Mesh
from shared.declaration import Function
from shared.messaging.batch import TRIES

NOBODY = {"redrivePermission": "denyAll"}

_KEPT = Duration.days(14)


class EventQueue(Construct):
    """A queue of a function with the events that it receives.

    Args:
        construct_id: of this queue in its function.
        consumer: the function.
        name: of the queue, its rule and its dead letters.
        types: of events; none: other functions send to it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        mesh: Mesh,
        declared: Function,
        *,
        consumer: MeshFunction,
        name: str,
        types: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id)
        self._mesh = mesh
        allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [mesh.names.arn("sqs", name)]}
        self.dead_letters = dead_letters(self, mesh, of=name, redrive_allowed=allowed)
        hidden = Duration.seconds(declared.timeout_s * mesh.profile.visibility_factor)
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=name,
            delivery_delay=Duration.seconds(declared.delay_s) if declared.delay_s else None,
            visibility_timeout=hidden,
            retention_period=_KEPT,
            enforce_ssl=mesh.profile.enforce_ssl,
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=TRIES, queue=self.dead_letters),
        )
        if types:
            self._subscribe(name, types)
        lambda_.EventSourceMapping(
            self,
            "Batches",
            target=consumer.function,
            event_source_arn=self.queue.queue_arn,
            batch_size=declared.batch_size,
            report_batch_item_failures=True,
            max_concurrency=mesh.profile.max_concurrency,
        )

    def _subscribe(self, name: str, types: Sequence[str]) -> None:
        bus = events.EventBus.from_event_bus_name(self, "Bus", self._mesh.names.bus)
        pattern = events.EventPattern(detail_type=list(types))
        rule = events.Rule(self, "Rule", rule_name=name, event_bus=bus, event_pattern=pattern)
        target = targets.SqsQueue(self.queue, dead_letter_queue=self.dead_letters)
        rule.add_target(cast("events.IRuleTarget", target))


def dead_letters(scope: Construct, mesh: Mesh, *, of: str, redrive_allowed: Mapping[str, object] = NOBODY) -> sqs.Queue:
    """The queue for what could not be handled; it is emptied by hand.

    Args:
        scope: where it is made.
        mesh: its names and settings.
        of: name of the queue, or of the function, that it belongs to.
        redrive_allowed: which queues may name it as theirs.
    """
    made = sqs.Queue(
        scope,
        "DeadLetters",
        queue_name=mesh.names.dead_letters(of),
        retention_period=_KEPT,
        enforce_ssl=mesh.profile.enforce_ssl,
    )
    # As data: the two queues name each other, which the high-level construct would make a cycle.
    made.node.default_child.redrive_allow_policy = redrive_allowed  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    return made
