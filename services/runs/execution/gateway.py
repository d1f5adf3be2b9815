"""This service's own worker function, invoked for a run that somebody waits for."""

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
    """Executes runs."""

    def execute(self, tenant_id: str, run_id: str, *, wait_s: int) -> Item | None:
        """Have a queued run executed, and wait for it at most so long. It goes on when the wait is over.

        Args:
            tenant_id: whose it is.
            run_id: its id.
            wait_s: so many seconds.

        Returns:
            The run as the worker has written it at last; None when that is not known.

        Raises:
            WorkerNotReached: it has not begun, and will not.
        """
        ...


class LambdaWorkers:
    """The real function.

    Args:
        client: makes a Lambda client that waits so many seconds for an answer and never tries again.
        function: its name.
    """

    def __init__(self, client: Callable[[int], Any], *, function: str) -> None:
        self._client = client
        self._function = function

    def execute(self, tenant_id: str, run_id: str, *, wait_s: int) -> Item | None:
        """See `Workers.execute`. Of a call that may have arrived it is not known; then the reaper finds the run."""
        payload = json.dumps({"tenant_id": tenant_id, "run_id": run_id})
        try:
            answer = self._client(wait_s).invoke(FunctionName=self._function, Payload=payload)
            said: dict[str, Any] = json.loads(answer["Payload"].read())
        except (BotoCoreError, ClientError) as error:
            logger.info("the wait is over", run_id=run_id, error=type(error).__name__)
            if _has_not_arrived(error):
                raise WorkerNotReached from error
            return None
        # A worker that broke says why in the place of an answer.
        return said.get("written")


def _has_not_arrived(error: Exception) -> bool:
    """Whether it is certain that no function was started: Lambda has refused the call, or was not connected to."""
    if isinstance(error, ClientError):
        return 400 <= int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) < 500
    return isinstance(error, (EndpointConnectionError, ConnectTimeoutError, NoCredentialsError))


@dataclass
class FakeWorkers:
    """Executes nothing, or what it is told to."""

    on_execute: Callable[[str, str], Item | None] = lambda _tenant_id, _run_id: None
    executed: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def execute(self, tenant_id: str, run_id: str, *, wait_s: int) -> Item | None:
        """See `Workers.execute`."""
        self.executed.append((run_id, wait_s))
        return self.on_execute(tenant_id, run_id)
