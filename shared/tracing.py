"""Subsegments of X-Ray traces, sent to the X-Ray daemon if there is one and the trace is sampled.

https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html. The X-Ray SDK is imported with the
first sampled trace of a container, so that no other cold start pays for it (decision 18). Tenants appear by id only.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from shared.scope import current, narrowed

if TYPE_CHECKING:
    from aws_xray_sdk.core.models.subsegment import Subsegment

if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # Modules that are loaded before the snapshot is taken cost no request any time.
    from shared import xray as _  # noqa: F401 — the import is the purpose


class Session(Protocol):
    """A session that creates AWS clients and has event hooks, such as botocore's."""

    def register(self, event_name: str, handler: Any) -> Any:  # noqa: ANN401 — botocore calls it as it likes
        """Register a handler of an event."""


SessionT = TypeVar("SessionT", bound=Session)


@contextmanager
def subsegment(name: str, **annotations: str) -> Generator[None]:
    """Record this block as a subsegment of the invocation's trace, which its annotations make searchable."""
    begun = _begin(name)
    if begun is None:
        yield
        return
    for key, value in annotations.items():
        begun.put_annotation(key, value)
    with narrowed(segment_id=begun.id), _ending(begun):
        yield


@contextmanager
def call_to_aws(service: str, operation: str, **about: str) -> Generator[None]:
    """Record this block as one call to AWS.

    Args:
        service: X-Ray's name of the service, for example `DynamoDB`.
        operation: the name of the operation in the service's API.
        about: further fields by X-Ray's names, for example `table_name`.
    """
    begun = _begin(service, namespace="aws")
    if begun is None:
        yield
        return
    begun.aws = {"operation": operation, **about}
    with _ending(begun):
        yield


def traced(session: SessionT) -> SessionT:
    """Make the session record a subsegment for each call to AWS, and return the session."""
    if "AWS_XRAY_DAEMON_ADDRESS" in os.environ:
        session.register("before-parameter-build", _before_call)
        session.register("after-call", _after_call)
        session.register("after-call-error", _after_call)
    return session


def _before_call(params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: object) -> None:  # noqa: ANN401 — botocore's own
    begun = _begin(model.service_model.service_id, namespace="aws")
    if begun:
        table = params.get("TableName")
        begun.aws = {"operation": model.name, **({"table_name": table} if table else {})}
        context["subsegment"] = begun


def _after_call(context: dict[str, Any], exception: Exception | None = None, **_: object) -> None:
    begun = context.pop("subsegment", None)
    if begun:
        _end(begun, fault=exception is not None)


@contextmanager
def _ending(begun: "Subsegment") -> Generator[None]:
    """End the subsegment after this block."""
    fault = True
    try:
        yield
        fault = False
    finally:
        _end(begun, fault=fault)


def _begin(name: str, *, namespace: str = "local") -> "Subsegment | None":
    """Return a subsegment of the invocation's trace, or None if it is not sampled or there is no daemon."""
    header = os.environ.get("_X_AMZN_TRACE_ID", "").split(";")
    if "AWS_XRAY_DAEMON_ADDRESS" not in os.environ or "Sampled=1" not in header:
        return None
    from shared import xray  # Only sampled traces need the SDK.

    return xray.begin(name, namespace=namespace, parent_id=current().segment_id)


def _end(begun: "Subsegment", *, fault: bool) -> None:
    from shared import xray  # As above.

    xray.end(begun, fault=fault)
