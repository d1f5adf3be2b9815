"""The three tables, which have the same keys and indexes."""

from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.function import pascal, removal
from infra.mesh import Mesh
from infra.names import DUE_INDEX, LIST_INDEX
from infra.review import accept
from shared.declaration import Table


def table_of(scope: Construct, mesh: Mesh, *, table: Table) -> dynamodb.Table:
    """Create a table with its two indexes and its stream of new items."""
    kept = mesh.profile.retain
    made = dynamodb.Table(
        scope,
        pascal(f"{table.value}-table"),
        table_name=mesh.names.table(table),
        partition_key=_text("PK"),
        sort_key=_text("SK"),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        stream=dynamodb.StreamViewType.NEW_IMAGE,
        time_to_live_attribute="ttl",
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=kept
        ),
        deletion_protection=kept,
        removal_policy=removal(retain=kept),
    )
    if not kept:
        accept(made, "DDB3")
    for index in (LIST_INDEX, DUE_INDEX):
        made.add_global_secondary_index(
            index_name=index,
            partition_key=_text(f"{index}_pk"),
            sort_key=_text(f"{index}_sk"),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
    return made


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
