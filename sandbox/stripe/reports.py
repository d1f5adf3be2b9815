"""Error reports of meters: events of Stripe's second kind, which are thin and whose data is to be fetched."""

from datetime import UTC, datetime

from infra.local.stripe.routes import Call, Routes
from infra.local.stripe.store import Json
from infra.local.stripe.world import World

routes = Routes()

KIND = "v2.core.event"


@routes.get("/v2/core/events/{event}")
def get_event(call: Call) -> Json:
    """A report with its data."""
    return call.world.store.get(KIND, call.path["event"])


def emit(world: World, meter: Json, *, identifier: str, code: str) -> None:
    """Report that a meter could not count an event."""
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
    """An event as it is delivered."""
    return {name: value for name, value in event.items() if name != "data"} if event["object"] == KIND else event
