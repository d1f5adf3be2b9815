"""Meter error reports: thin events of Stripe's second API, whose data is fetched separately."""

from datetime import UTC, datetime

from sandbox.stripe.routes import Routes, StripeCall
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld

routes = Routes()

KIND = "v2.core.event"


@routes.get("/v2/core/events/{event}")
def get_event(call: StripeCall) -> Json:
    """Return an event of the second API with its data."""
    return call.world.store.get(KIND, call.path["event"])


def emit(world: StripeWorld, meter: Json, *, identifier: str, code: str) -> None:
    """Publish the report that a meter could not count an event."""
    now = datetime.fromtimestamp(world.now(), UTC).isoformat().replace("+00:00", ".000Z")
    sample = {"error_message": f"{code}: {identifier}", "request": {"identifier": identifier}}
    reason = {"error_count": 1, "error_types": [{"code": code, "error_count": 1, "sample_errors": [sample]}]}
    event: Json = {
        "id": world.new_id("evt_test"),
        "object": KIND,
        "context": None,
        "created": now,
        "data": {
            "developer_message_summary": "There is 1 invalid event",
            "reason": reason,
            "validation_end": now,
            "validation_start": now,
        },
        "livemode": False,
        "reason": None,
        "related_object": {
            "id": meter["id"],
            "type": "billing.meter",
            "url": f"/v1/billing/meters/{meter['id']}",
        },
        "type": "v1.billing.meter.error_report_triggered",
    }
    world.store.put(event)
    world.deliver(event["id"], world.listeners(event["type"]))


def thin(event: Json) -> Json:
    """Return an event as it is delivered."""
    return {name: value for name, value in event.items() if name != "data"} if event["object"] == KIND else event
