"""AWS clients of the engine or of an account, each created on first use."""

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

_TIMEOUT_S = 120
"""Read timeout: the first invocation on a busy machine is slow."""


class AwsClients:
    """One client per service.

    Args:
        session: the credentials and the region.
        endpoint_url: the address of all requests; None for AWS.
    """

    def __init__(self, session: boto3.Session, *, endpoint_url: str | None = None) -> None:
        self._session = session
        self._endpoint = endpoint_url
        proxies: dict[str, str] | None = {} if endpoint_url else None  # {}: no proxy, even if the environment names one
        self._config = Config(
            read_timeout=_TIMEOUT_S,
            proxies=proxies,
            retries={"total_max_attempts": 1 if endpoint_url else 3, "mode": "standard"},
            use_fips_endpoint=False if endpoint_url else None,
            use_dualstack_endpoint=False if endpoint_url else None,
        )

    @property
    def region(self) -> str:
        """The region of all clients."""
        return self._session.region_name or REGION

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """The client of CloudFormation."""
        return self._client("cloudformation")

    @cached_property
    def cognito(self) -> "CognitoIdentityProviderClient":
        """The client of Cognito."""
        return self._client("cognito-idp")

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """The client of DynamoDB."""
        return self._client("dynamodb")

    @cached_property
    def events(self) -> "EventBridgeClient":
        """The client of EventBridge."""
        return self._client("events")

    @cached_property
    def functions(self) -> "LambdaClient":
        """The client of Lambda."""
        return self._client("lambda")

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        """The client of CloudWatch Logs."""
        return self._client("logs")

    @cached_property
    def s3(self) -> "S3Client":
        """The client of S3."""
        return self._client("s3")

    @cached_property
    def secrets(self) -> "SecretsManagerClient":
        """The client of Secrets Manager."""
        return self._client("secretsmanager")

    @cached_property
    def sqs(self) -> "SQSClient":
        """The client of SQS."""
        return self._client("sqs")

    @cached_property
    def sts(self) -> "STSClient":
        """The client of STS."""
        return self._client("sts")

    def _client(self, service: str) -> Any:  # noqa: ANN401 — boto3 makes clients from data; the properties have their types
        make: Callable[..., Any] = self._session.client  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return make(service, endpoint_url=self._endpoint, config=self._config)


def engine_clients(port: int) -> AwsClients:
    """Return the clients of the engine on a port."""
    unset = (None, None, None, None)
    nothing = (None, None, os.devnull, None)
    # The user's own AWS profile and files are ignored.
    plain = botocore.session.Session({"profile": unset, "config_file": nothing, "credentials_file": nothing})
    session = boto3.Session(
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="local",  # noqa: S106 — the engine takes any
        region_name=REGION,
        botocore_session=plain,
    )
    return AwsClients(session, endpoint_url=endpoint(port))
