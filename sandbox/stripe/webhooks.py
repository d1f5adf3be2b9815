"""Webhook endpoints and events."""

from copy import deepcopy

from sandbox.stripe.errors import refuse
from sandbox.stripe.form import Params
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import Routes, StripeCall, list_page, matching, merged
from sandbox.stripe.store import Json
from sandbox.stripe.world import API_VERSION, StripeWorld

routes = Routes()

OF_THE_MESH = "we_local"
"""The endpoint of the mesh's own API, with the secret that `ainexus up` stored in the mesh."""


@routes.post("/v1/webhook_endpoints")
def create_endpoint(call: StripeCall) -> Json:
    """Create an endpoint. Only this response contains its secret."""
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
def list_endpoints(call: StripeCall) -> Json:
    """List all endpoints."""
    return list_page(call, call.world.store.all("webhook_endpoint"), url="/v1/webhook_endpoints")


@routes.get("/v1/webhook_endpoints/{endpoint}")
def get_endpoint(call: StripeCall) -> Json:
    """Return an endpoint."""
    return render(call.world.store.get("webhook_endpoint", call.path["endpoint"]))


@routes.post("/v1/webhook_endpoints/{endpoint}")
def change_endpoint(call: StripeCall) -> Json:
    """Update an endpoint."""
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
def delete_endpoint(call: StripeCall) -> Json:
    """Delete an endpoint."""
    endpoint = call.world.store.get("webhook_endpoint", call.path["endpoint"])
    call.world.store.remove(endpoint["id"])
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


@routes.get("/v1/events")
def list_events(call: StripeCall) -> Json:
    """List all events, or those of some types."""
    params = call.params
    types = params.texts("types")
    found = matching(call.world.store.all("event"), type=params.text("type"))
    return list_page(call, [one for one in found if not types or one["type"] in types], url="/v1/events")


@routes.get("/v1/events/{event}")
def get_event(call: StripeCall) -> Json:
    """Return an event."""
    return render(call.world.store.get("event", call.path["event"]))


def set_mesh_url(world: StripeWorld, url: str) -> Json:
    """Deliver every event to the mesh's API. The call is idempotent."""
    had = world.store.find(OF_THE_MESH)
    endpoint = deepcopy(had) if had else _endpoint(world, OF_THE_MESH, url=url)
    return world.store.put(endpoint | {"url": url, "_secret": world.webhook_secret})


def _endpoint(world: StripeWorld, name: str, *, url: str) -> Json:
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
