"""AILabCore: the shared resources of the five services."""

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.core.document import PATH
from infra.core.gateway import Gateway
from infra.core.publisher import OutboxPublisher
from infra.core.tables import table_of
from infra.core.topic import topic_of
from infra.core.users import Users
from infra.function import MeshFunction, log_group, pascal, removal
from infra.mesh import Mesh
from infra.names import SECRETS
from infra.review import accept
from services.core.service import API
from shared.declaration import Table

_PASSING = "tenants/_operators/"
"""Objects of operators expire after a day. No tenant can have this name."""


class CoreStack(Stack):
    """Tables, bucket, bus, users, secrets, the API, and core's three functions."""

    def __init__(self, scope: Construct, mesh: Mesh, **options: object) -> None:
        super().__init__(scope, mesh.names.stack("core"), **options)  # pyright: ignore[reportArgumentType] — Stack's own options
        self.mesh = mesh
        self.tables = {table: table_of(self, mesh, table=table) for table in Table}
        self.bucket = self._bucket()
        self.bus = events.EventBus(self, "Bus", event_bus_name=mesh.names.bus)
        self.users = Users(self, mesh)
        self._secrets()
        self.gateway = Gateway(self, mesh, users=self.users)
        self.topic = topic_of(self, mesh)
        log_group(self, mesh, name=mesh.names.access_logs)
        self._functions()
        self._outputs()

    def _bucket(self) -> s3.Bucket:
        kept, a_day = self.mesh.profile.retain, Duration.days(1)
        made = s3.Bucket(
            self,
            "Artifacts",
            bucket_name=self.mesh.names.bucket,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=self.mesh.profile.enforce_ssl,
            versioned=kept,
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=a_day,
                    # As long as a table can be restored: afterwards nothing refers to old versions.
                    noncurrent_version_expiration=Duration.days(35),
                ),
                s3.LifecycleRule(prefix=_PASSING, expiration=a_day, noncurrent_version_expiration=a_day),
            ],
            # Browsers upload files of datasets with presigned forms, and download with presigned URLs.
            cors=[
                s3.CorsRule(
                    allowed_methods=[s3.HttpMethods.GET, s3.HttpMethods.POST],
                    allowed_origins=list(self.mesh.profile.cors_origins),
                    allowed_headers=["*"],
                    max_age=3600,
                )
            ],
            removal_policy=removal(retain=kept),
        )
        accept(made, "S1")
        return made

    def _secrets(self) -> None:
        for secret in SECRETS:
            made = secretsmanager.CfnSecret(
                self,
                pascal(secret.replace("/", "-")),
                name=self.mesh.names.secret(secret),
                # Not configured. put-secret-value changes it, and no deployment resets it.
                secret_string="{}",  # noqa: S106 — it is empty
            )
            made.apply_removal_policy(removal(retain=self.mesh.profile.retain))
            accept(made, "SMG4")

    def _functions(self) -> None:
        pool_id = self.users.pool.user_pool_id
        api = MeshFunction(
            self,
            self.mesh,
            API,
            name=self.mesh.names.api,
            statements=[],
            variables={"USER_POOL_ID": pool_id, "POWERTOOLS_SERVICE_NAME": "core"},
            extra_files={PATH: self.mesh.openapi},
        )
        self.gateway.paths.attach(API, function=api.function, authorizer=self.gateway.authorizer)
        self.outbox = OutboxPublisher(self, self.mesh, tables=self.tables, user_pool_id=pool_id)

    def _outputs(self) -> None:
        names = self.mesh.names
        endpoint = f"{self.gateway.api.rest_api_id}.execute-api.{self.region}.{self.url_suffix}"
        outputs = {
            "UserPoolId": self.users.pool.user_pool_id,
            "UserPoolClientId": self.users.client.user_pool_client_id,
            "ApiEndpoint": f"https://{endpoint}/{names.environment}",
            **{f"{pascal(table.value)}TableName": made.table_name for table, made in self.tables.items()},
            "ArtifactsBucketName": self.bucket.bucket_name,
            "EventBusName": self.bus.event_bus_name,
            "AlertsTopicArn": self.topic.topic_arn,
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)
