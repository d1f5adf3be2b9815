"""Test clocks, each with a separate time for some customers."""

from sandbox.stripe.errors import refuse
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import Routes, StripeCall, list_page
from sandbox.stripe.store import Json
from sandbox.stripe.timeline import pass_time
from sandbox.stripe.world import DAY_S, StripeWorld

routes = Routes()


@routes.post("/v1/test_helpers/test_clocks")
def create_clock(call: StripeCall) -> Json:
    """Create a clock that does not advance by itself."""
    frozen = call.params.integer("frozen_time")
    if frozen is None:
        refuse("Missing required param: frozen_time.", param="frozen_time", code="parameter_missing")
    return render(make(call.world, frozen_time=frozen, name=call.params.text("name")))


def make(world: StripeWorld, *, frozen_time: int, name: str | None) -> Json:
    """Create a clock and publish its event."""
    clock: Json = {
        "id": world.new_id("clock"),
        "object": "test_helpers.test_clock",
        "created": world.now(),
        "deletes_after": world.now() + 30 * DAY_S,
        "frozen_time": frozen_time,
        "livemode": False,
        "name": name,
        "status": "ready",
        "status_details": {},
    }
    world.emit("test_helpers.test_clock.created", world.store.put(clock))
    return clock


@routes.get("/v1/test_helpers/test_clocks")
def list_clocks(call: StripeCall) -> Json:
    """List all test clocks."""
    return list_page(call, call.world.store.all("test_helpers.test_clock"), url="/v1/test_helpers/test_clocks")


@routes.get("/v1/test_helpers/test_clocks/{clock}")
def get_clock(call: StripeCall) -> Json:
    """Return a test clock."""
    return render(call.world.store.get("test_helpers.test_clock", call.path["clock"]))


@routes.delete("/v1/test_helpers/test_clocks/{clock}")
def delete_clock(call: StripeCall) -> Json:
    """Delete a clock. Its customers stay, at the clock's last time."""
    clock = call.world.store.get("test_helpers.test_clock", call.path["clock"])
    call.world.store.remove(clock["id"])
    return {"id": clock["id"], "object": "test_helpers.test_clock", "deleted": True}


@routes.post("/v1/test_helpers/test_clocks/{clock}/advance")
def advance_clock(call: StripeCall) -> Json:
    """Advance a clock within this request. As at Stripe, the response reports `advancing`."""
    world = call.world
    clock = world.store.get("test_helpers.test_clock", call.path["clock"])
    target = call.params.integer("frozen_time")
    if target is None or target <= clock["frozen_time"]:
        refuse("A test clock goes forward only.", param="frozen_time")
    move(world, clock, until=target)
    details = {"advancing": {"target_frozen_time": target}}
    return render(clock | {"status": "advancing", "status_details": details})


def move(world: StripeWorld, clock: Json, *, until: int) -> int:
    """Advance a clock and return the number of scheduled actions that were performed."""
    done = pass_time(world, clock=clock["id"], until=until)
    clock["frozen_time"] = until
    world.emit("test_helpers.test_clock.ready", world.store.put(clock))
    return done
