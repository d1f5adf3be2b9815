"""Subsegments of the X-Ray SDK. Each is sent to the daemon when it ends.

The import costs CPU, so `shared/tracing.py` imports this module with the first sampled trace, or before a snapshot.

The SDK's recorder does not open the subsegments, because it stores the open ones by thread: those in the threads of a
sweep would lose their parent, and one that outlives its parent would raise an error (decision 18).
"""

import os

from aws_xray_sdk.core import xray_recorder
from aws_xray_sdk.core.models.facade_segment import FacadeSegment
from aws_xray_sdk.core.models.subsegment import Subsegment
from aws_xray_sdk.core.models.trace_header import TraceHeader


def begin(name: str, *, namespace: str, parent_id: str) -> Subsegment | None:
    """Start a subsegment of the invocation's trace.

    Args:
        name: its name.
        namespace: `aws` for a call to AWS, otherwise `local`.
        parent_id: the id of the subsegment around it; empty for the invocation itself.

    Returns:
        The subsegment, or None if the trace header is incomplete.
    """
    header = TraceHeader.from_header_str(os.environ.get("_X_AMZN_TRACE_ID"))
    invocation = FacadeSegment("invocation", header.parent, header.root, sampled=True)
    if invocation.initializing:
        return None
    found = Subsegment(name, namespace, invocation)
    found.parent_id = parent_id or invocation.id
    return found


def end(subsegment: Subsegment, *, fault: bool) -> None:
    """End a subsegment and send it to the daemon. A failure to send is logged."""
    subsegment.fault = fault
    subsegment.close()
    emitter = xray_recorder.emitter
    # The emitter read the address when it was imported, which may have been before a snapshot.
    emitter.set_daemon_address(os.environ["AWS_XRAY_DAEMON_ADDRESS"])
    emitter.send_entity(subsegment)
