"""Webhook endpoints and events."""

from copy import deepcopy

from infra.local.stripe.errors import refuse
from infra.local.stripe.form import Params
from infra.local.stripe.rendering import render
from infra.local.stripe.routes import Call, Routes, listed, matching, merged
from infra.local.stripe.store import Json
from infra.local.stripe.world import API_VERSION, World

routes = Routes()

OF_THE_MESH = "we_local"
"""The endpoint of the mesh's own API; its secret is the one that `ainexus up` has put into the mesh."""


@routes.post("/v1/webhook_endpoints")
def create_endpoint(call: Call) -> Json:
    """An endpoint; its secret is shown this once."""
    world, params = call.world, call.params
    endpoint = _endpoint(world, world.new_id("we"), url=params.required("url"))
    endpoint |= {
        "_secret": world.new_id("whsec"),
        "description": params.text("description"),
        "enabled_events": _events(params),
        "metadata": params.free("metadata"),
    }
    params.choice("api_version", API_VERSION)
    return render(world.store.put(endpoint)) | {"secret": endpoint["_secret"]}


@routes.get("/v1/webhook_endpoints")
def list_endpoints(call: Call) -> Json:
    """All endpoints."""
    return listed(call, call.world.store.all("webhook_endpoint"), url="/v1/webhook_endpoints")


@routes.get("/v1/webhook_endpoints/{endpoint}")
def get_endpoint(call: Call) -> Json:
    """An endpoint."""
    return render(call.world.store.get("webhook_endpoint", call.path["endpoint"]))


@routes.post("/v1/webhook_endpoints/{endpoint}")
def change_endpoint(call: Call) -> Json:
    """Change an endpoint."""
    params = call.params
    endpoint = call.world.store.get("webhook_endpoint", call.path["endpoint"])
    if "url" in params:
        endpoint["url"] = params.required("url")
    if "enabled_events" in params:
        endpoint["enabled_events"] = _events(params)
    if "disabled" in params:
        endpoint["status"] = "disabled" if params.boolean("disabled") else "enabled"
    endpoint["metadata"] = merged(endpoint["metadata"], params.free("metadata"))
    return render(call.world.store.put(endpoint))


@routes.delete("/v1/webhook_endpoints/{endpoint}")
def delete_endpoint(call: Call) -> Json:
    """Remove an endpoint."""
    endpoint = call.world.store.get("webhook_endpoint", call.path["endpoint"])
    call.world.store.remove(endpoint["id"])
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


@routes.get("/v1/events")
def list_events(call: Call) -> Json:
    """All events, or those of some types."""
    params = call.params
    types = params.texts("types")
    found = matching(call.world.store.all("event"), type=params.text("type"))
    return listed(call, [one for one in found if not types or one["type"] in types], url="/v1/events")


@routes.get("/v1/events/{event}")
def get_event(call: Call) -> Json:
    """An event."""
    return render(call.world.store.get("event", call.path["event"]))


def point_to_mesh(world: World, url: str) -> Json:
    """Let every event go to the mesh's API; saying it twice is saying it once."""
    had = world.store.find(OF_THE_MESH)
    endpoint = deepcopy(had) if had else _endpoint(world, OF_THE_MESH, url=url)
    return world.store.put(endpoint | {"url": url, "_secret": world.webhook_secret})


def _endpoint(world: World, name: str, *, url: str) -> Json:
    return {
        "id": name,
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "application": None,
        "created": world.now(),
        "description": None,
        "enabled_events": ["*"],
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": url,
    }


def _events(params: Params) -> list[str]:
    events = params.texts("enabled_events")
    if not events:
        refuse("Missing required param: enabled_events.", param="enabled_events", code="parameter_missing")
    return events
