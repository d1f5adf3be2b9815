"""AWS clients, of the engine or of an account; each is made when it is first asked for."""

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config

from infra.local.environment import ACCOUNT, REGION, endpoint

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cognito_idp import CognitoIdentityProviderClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_events import EventBridgeClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_s3 import S3Client
    from types_boto3_secretsmanager import SecretsManagerClient
    from types_boto3_sqs import SQSClient
    from types_boto3_sts import STSClient

_PATIENCE_S = 120
"""A first invocation while the machine is busy takes long."""


class Clients:
    """One client per service.

    Args:
        session: whose credentials and region are used.
        endpoint_url: where all of them are sent; None: AWS itself.
    """

    def __init__(self, session: boto3.Session, *, endpoint_url: str | None = None) -> None:
        self._session = session
        self._endpoint = endpoint_url
        proxies: dict[str, str] | None = {} if endpoint_url else None  # {}: none at all, whatever the environment says
        self._config = Config(
            read_timeout=_PATIENCE_S,
            proxies=proxies,
            retries={"total_max_attempts": 1 if endpoint_url else 3, "mode": "standard"},
            use_fips_endpoint=False if endpoint_url else None,
            use_dualstack_endpoint=False if endpoint_url else None,
        )

    @property
    def region(self) -> str:
        """The region of all of them."""
        return self._session.region_name or REGION

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """Stacks."""
        return self._client("cloudformation")

    @cached_property
    def cognito(self) -> "CognitoIdentityProviderClient":
        """Users."""
        return self._client("cognito-idp")

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """Tables."""
        return self._client("dynamodb")

    @cached_property
    def events(self) -> "EventBridgeClient":
        """Buses."""
        return self._client("events")

    @cached_property
    def functions(self) -> "LambdaClient":
        """Functions."""
        return self._client("lambda")

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        """Logs."""
        return self._client("logs")

    @cached_property
    def s3(self) -> "S3Client":
        """Buckets."""
        return self._client("s3")

    @cached_property
    def secrets(self) -> "SecretsManagerClient":
        """Secrets."""
        return self._client("secretsmanager")

    @cached_property
    def sqs(self) -> "SQSClient":
        """Queues."""
        return self._client("sqs")

    @cached_property
    def sts(self) -> "STSClient":
        """Who one is."""
        return self._client("sts")

    def _client(self, service: str) -> Any:  # noqa: ANN401 — boto3 makes clients from data; the properties say which
        make: Callable[..., Any] = self._session.client  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return make(service, endpoint_url=self._endpoint, config=self._config)


def engine_clients(port: int) -> Clients:
    """Clients of the engine on a port."""
    unset = (None, None, None, None)
    nothing = (None, None, os.devnull, None)
    # What the user has set for the real AWS (a profile, files) has no say in it.
    plain = botocore.session.Session({"profile": unset, "config_file": nothing, "credentials_file": nothing})
    session = boto3.Session(
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="local",  # noqa: S106 — the engine takes any
        region_name=REGION,
        botocore_session=plain,
    )
    return Clients(session, endpoint_url=endpoint(port))
