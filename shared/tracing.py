"""Subsegments of X-Ray traces, sent as its daemon reads them; where there is none, or the trace is not kept, nothing.

https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html. Written here and not with the SDK,
whose import costs every cold start 175 ms (decision 19). Ids are all that is said of a tenant.
"""

import json
import os
import secrets
import socket
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar

_HEADER = b'{"format": "json", "version": 1}\n'
_parent: ContextVar[str] = ContextVar("parent", default="")


class Session(Protocol):
    """What calls AWS, and can be listened to; botocore's sessions can."""

    def register(self, event_name: str, handler: Any) -> Any:  # noqa: ANN401 — botocore calls it as it likes
        """Have the handler called."""


SessionT = TypeVar("SessionT", bound=Session)


@dataclass(frozen=True, slots=True)
class _Open:
    """A subsegment that has begun."""

    name: str
    id: str
    trace_id: str
    parent_id: str
    since: float

    def end(self, *, fault: bool, **said: object) -> None:
        """Tell the daemon."""
        document = {
            "type": "subsegment",
            "name": self.name,
            "id": self.id,
            "trace_id": self.trace_id,
            "parent_id": self.parent_id,
            "start_time": self.since,
            "end_time": time.time(),
            "fault": fault,
            **said,
        }
        host, _, port = os.environ["AWS_XRAY_DAEMON_ADDRESS"].rpartition(":")
        _daemon().sendto(_HEADER + json.dumps(document).encode(), (host, int(port)))


@contextmanager
def subsegment(name: str, **annotations: str) -> Generator[None]:
    """What is done herein is a part of the invocation's trace, to be found by its annotations."""
    opened = _begin(name)
    if opened is None:
        yield
        return
    token = _parent.set(opened.id)
    fault = True
    try:
        yield
        fault = False
    finally:
        _parent.reset(token)
        opened.end(fault=fault, annotations=annotations)


@contextmanager
def call_to_aws(service: str, operation: str, **about: str) -> Generator[None]:
    """What is done herein is one call to AWS.

    Args:
        service: as X-Ray names it: `DynamoDB`.
        operation: as the service's API names it.
        about: what else is known of it, by X-Ray's names: `table_name`.
    """
    opened = _begin(service)
    if opened is None:
        yield
        return
    fault = True
    try:
        yield
        fault = False
    finally:
        _end_call(opened, fault=fault, aws={"operation": operation, **about})


def traced(session: SessionT) -> SessionT:
    """The session, which from now on makes a subsegment of each call to AWS."""
    if "AWS_XRAY_DAEMON_ADDRESS" in os.environ:
        session.register("before-parameter-build", _before_call)
        session.register("after-call", _after_call)
        session.register("after-call-error", _after_call)
    return session


def _before_call(params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: object) -> None:  # noqa: ANN401 — botocore's own
    table = params.get("TableName")
    context["subsegment"] = _begin(model.service_model.service_id), {"table_name": table} if table else {}


def _after_call(context: dict[str, Any], model: Any = None, exception: Exception | None = None, **_: object) -> None:  # noqa: ANN401 — as above
    opened, about = context.pop("subsegment", (None, {}))
    if opened:
        operation = {"operation": model.name} if model else {}
        _end_call(opened, fault=exception is not None, aws={**operation, **about})


def _end_call(opened: _Open, *, fault: bool, aws: Mapping[str, str]) -> None:
    opened.end(fault=fault, namespace="aws", aws=aws)


def _begin(name: str) -> _Open | None:
    """A subsegment of the invocation's trace, if that is kept and there is a daemon."""
    parts = [part.partition("=") for part in os.environ.get("_X_AMZN_TRACE_ID", "").split(";")]
    header = {name: value for name, _, value in parts}
    if "AWS_XRAY_DAEMON_ADDRESS" not in os.environ or header.get("Sampled") != "1":
        return None
    parent_id = _parent.get() or header.get("Parent", "")
    return _Open(name, secrets.token_hex(8), header.get("Root", ""), parent_id, time.time())


@cache
def _daemon() -> socket.socket:
    """Made when it is first needed, since a snapshot of the container must not hold it."""
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.settimeout(0)
    return found
