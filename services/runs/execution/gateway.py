"""This service's own worker function, invoked directly for a waited run."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)

from services.runs.errors import WorkerNotReached
from shared.observability import logger
from shared.storage.items import Item


class Workers(Protocol):
    """The interface to workers."""

    def execute(self, tenant_id: str, run_id: str, *, wait_s: int) -> Item | None:
        """Let a worker execute a queued run, and wait for it. The execution continues after the wait.

        Args:
            tenant_id: the tenant.
            run_id: the run.
            wait_s: the maximum wait in seconds.

        Returns:
            The run's item as the worker wrote it last; None if that is unknown.

        Raises:
            WorkerNotReached: the worker has not begun, and will not.
        """
        ...


class LambdaWorkers:
    """The deployed worker function.

    Args:
        client: returns a Lambda client with this read timeout in seconds and without retries.
        function: the function's name.
    """

    def __init__(self, client: Callable[[int], Any], *, function: str) -> None:
        self._client = client
        self._function = function

    def execute(self, tenant_id: str, run_id: str, *, wait_s: int) -> Item | None:
        """Invoke the function, see `Workers.execute`.

        The result of an invocation that may have arrived is unknown; the reaper recovers the run if it did not.
        """
        payload = json.dumps({"tenant_id": tenant_id, "run_id": run_id})
        try:
            response = self._client(wait_s).invoke(FunctionName=self._function, Payload=payload)
            result: dict[str, Any] = json.loads(response["Payload"].read())
        except (BotoCoreError, ClientError) as error:
            logger.info("the wait is over", run_id=run_id, error=type(error).__name__)
            if _has_not_arrived(error):
                raise WorkerNotReached from error
            return None
        # A worker that failed returns its error instead of the run.
        return result.get("written")


def _has_not_arrived(error: Exception) -> bool:
    """Return whether certainly no function was started: Lambda has refused the call, or there was no connection."""
    if isinstance(error, ClientError):
        return 400 <= int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) < 500
    return isinstance(error, (EndpointConnectionError, ConnectTimeoutError, NoCredentialsError))


@dataclass
class FakeWorkers:
    """Workers for tests, which return the result of `on_execute`."""

    on_execute: Callable[[str, str], Item | None] = lambda _tenant_id, _run_id: None
    executed: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def execute(self, tenant_id: str, run_id: str, *, wait_s: int) -> Item | None:
        """See `Workers.execute`."""
        self.executed.append((run_id, wait_s))
        return self.on_execute(tenant_id, run_id)
