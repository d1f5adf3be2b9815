"""Test clocks: time of their own for some customers."""

from infra.local.stripe.errors import refuse
from infra.local.stripe.rendering import render
from infra.local.stripe.routes import Call, Routes, listed
from infra.local.stripe.store import Json
from infra.local.stripe.timeline import pass_time
from infra.local.stripe.world import DAY_S, World

routes = Routes()


@routes.post("/v1/test_helpers/test_clocks")
def create_clock(call: Call) -> Json:
    """A clock that stands still."""
    frozen = call.params.integer("frozen_time")
    if frozen is None:
        refuse("Missing required param: frozen_time.", param="frozen_time", code="parameter_missing")
    return render(make(call.world, frozen_time=frozen, name=call.params.text("name")))


def make(world: World, *, frozen_time: int, name: str | None) -> Json:
    """A new clock, and its announcement."""
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
def list_clocks(call: Call) -> Json:
    """All test clocks."""
    return listed(call, call.world.store.all("test_helpers.test_clock"), url="/v1/test_helpers/test_clocks")


@routes.get("/v1/test_helpers/test_clocks/{clock}")
def get_clock(call: Call) -> Json:
    """A test clock."""
    return render(call.world.store.get("test_helpers.test_clock", call.path["clock"]))


@routes.delete("/v1/test_helpers/test_clocks/{clock}")
def delete_clock(call: Call) -> Json:
    """Delete a clock; its customers stay, at the time that it had."""
    clock = call.world.store.get("test_helpers.test_clock", call.path["clock"])
    call.world.store.remove(clock["id"])
    return {"id": clock["id"], "object": "test_helpers.test_clock", "deleted": True}


@routes.post("/v1/test_helpers/test_clocks/{clock}/advance")
def advance_clock(call: Call) -> Json:
    """Let a clock's time pass; it has passed when the answer comes, which says that it is passing, as Stripe does."""
    world = call.world
    clock = world.store.get("test_helpers.test_clock", call.path["clock"])
    target = call.params.integer("frozen_time")
    if target is None or target <= clock["frozen_time"]:
        refuse("A test clock goes forward only.", param="frozen_time")
    move(world, clock, until=target)
    details = {"advancing": {"target_frozen_time": target}}
    return render(clock | {"status": "advancing", "status_details": details})


def move(world: World, clock: Json, *, until: int) -> int:
    """Let a clock's time pass; says how much happened on the way."""
    done = pass_time(world, clock=clock["id"], until=until)
    clock["frozen_time"] = until
    world.emit("test_helpers.test_clock.ready", world.store.put(clock))
    return done
