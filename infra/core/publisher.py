"""The publisher, invoked by the streams of the three tables."""

import json
from collections.abc import Mapping

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import policy
from infra.function import MeshFunction, pascal
from infra.mesh import Mesh
from infra.queue import dead_letters
from infra.review import accept
from services.core.service import PUBLISHER
from shared.declaration import Table
from shared.storage.outbox import SORT_KEY_PREFIX

_TRIES = 10
"""After these attempts the sweep takes over, so that one bad record does not block the stream for a day."""

_LANES = 10
"""Batches of one shard that are published concurrently. Records are distributed by partition key, and each tenant has
its own partition in an outbox. So a busy tenant can delay the events of about one tenant in ten."""


class OutboxPublisher(Construct):
    """Core's publisher with its streams and its dead-letter queue."""

    def __init__(
        self, scope: Construct, mesh: Mesh, *, tables: Mapping[Table, dynamodb.Table], user_pool_id: str
    ) -> None:
        super().__init__(scope, "Outbox")
        names = mesh.names
        name = names.publisher
        refused = dead_letters(self, mesh, of=name)
        accept(refused, "SQS3")
        self.publisher = MeshFunction(
            self,
            mesh,
            PUBLISHER,
            name=name,
            statements=self._statements(mesh),
            variables={
                "DEAD_LETTERS_URL": refused.queue_url,
                "OUTBOXES": json.dumps(
                    {service.slice.name: names.table(service.slice.table) for service in mesh.services}
                ),
                "USER_POOL_ID": user_pool_id,
                "POWERTOOLS_SERVICE_NAME": "core",
            },
        )
        for table, made in tables.items():
            self._listen(table, made)

    def _statements(self, mesh: Mesh) -> list[policy.Statement]:
        names = mesh.names
        slices = [service.slice for service in mesh.services]
        return [
            policy.put_events(names),
            policy.send(names, names.dead_letters(names.publisher)),
            policy.list_streams(),
            *(policy.stream(names, table) for table in Table),
            *(statement for table in Table for statement in policy.outbox(names, table, slices)),
        ]

    def _listen(self, table: Table, made: dynamodb.Table) -> None:
        added = {
            "eventName": lambda_.FilterRule.is_equal("INSERT"),
            "dynamodb": {"Keys": {"SK": {"S": lambda_.FilterRule.begins_with(SORT_KEY_PREFIX)}}},
        }
        lambda_.EventSourceMapping(
            self,
            pascal(table.value),
            target=self.publisher.function,
            event_source_arn=made.table_stream_arn,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=100,
            parallelization_factor=_LANES,
            bisect_batch_on_error=True,
            report_batch_item_failures=True,
            retry_attempts=_TRIES,
            filters=[lambda_.FilterCriteria.filter(added)],
        )
