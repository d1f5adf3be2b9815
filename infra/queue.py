"""The trigger of a consumer: a queue with its dead-letter queue, and a rule on the bus for its subscriptions."""

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
from shared.messaging.batch import MAX_RECEIVES

DENY_REDRIVE = {"redrivePermission": "denyAll"}
_RETENTION = Duration.days(14)


class EventQueue(Construct):
    """A queue of a function for the events that it receives.

    Args:
        construct_id: the id of this queue in its function.
        consumer: the function that the queue invokes.
        name: the name of the queue, its rule and its dead-letter queue.
        types: the event types; if there are none, other functions send to the queue.
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
        self._mesh, profile = mesh, mesh.profile
        allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [mesh.names.arn("sqs", name)]}
        self.dead_letters = dead_letters(self, mesh, of=name, redrive_allowed=allowed)
        hidden = Duration.seconds(declared.timeout_s * mesh.profile.visibility_factor)
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=name,
            delivery_delay=Duration.seconds(declared.delay_s) if declared.delay_s else None,
            visibility_timeout=hidden,
            retention_period=_RETENTION,
            enforce_ssl=mesh.profile.enforce_ssl,
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=MAX_RECEIVES, queue=self.dead_letters),
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
            max_concurrency=profile.worker_concurrency if declared.calls_models else profile.max_concurrency,
        )

    def _subscribe(self, name: str, types: Sequence[str]) -> None:
        bus = events.EventBus.from_event_bus_name(self, "Bus", self._mesh.names.bus)
        pattern = events.EventPattern(detail_type=list(types))
        rule = events.Rule(self, "Rule", rule_name=name, event_bus=bus, event_pattern=pattern)
        target = targets.SqsQueue(self.queue, dead_letter_queue=self.dead_letters)
        rule.add_target(cast("events.IRuleTarget", target))


def dead_letters(
    scope: Construct, mesh: Mesh, *, of: str, redrive_allowed: Mapping[str, object] = DENY_REDRIVE
) -> sqs.Queue:
    """Create the queue of messages that could not be handled. It is emptied by hand.

    Args:
        scope: the construct that contains the queue.
        mesh: its names and settings.
        of: the name of its source queue or function.
        redrive_allowed: the queues that may use it.
    """
    made = sqs.Queue(
        scope,
        "DeadLetters",
        queue_name=mesh.names.dead_letters(of),
        retention_period=_RETENTION,
        enforce_ssl=mesh.profile.enforce_ssl,
    )
    # As data: the two queues refer to each other, which would be a cycle of high-level constructs.
    made.node.default_child.redrive_allow_policy = redrive_allowed  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    return made
