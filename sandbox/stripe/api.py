"""The API: authentication, configured faults, idempotency keys and routing."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sandbox.stripe import (
    catalog,
    checkout,
    clocks,
    customers,
    faults,
    form,
    invoicing,
    meters,
    payments,
    portal,
    reports,
    schedules,
    subscriptions,
    webhooks,
)
from sandbox.stripe.errors import StripeError
from sandbox.stripe.invoicing import PaymentAttempted
from sandbox.stripe.rendering import expand
from sandbox.stripe.routes import StripeCall
from sandbox.stripe.store import Json
from sandbox.stripe.world import API_VERSION, StripeWorld

_BILLING = (catalog, checkout, customers, invoicing, meters, payments, portal, schedules, subscriptions)
_SUPPORTING = (clocks, reports, webhooks)
_REPEATED_STATUSES = frozenset({200, 402})
"""Statuses that an idempotency key repeats. Invalid requests are not stored."""


@dataclass(frozen=True)
class StripeRequest:
    """A request as received."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: str


@dataclass(frozen=True)
class StripeResponse:
    """The response to a request."""

    status: int
    body: Json
    headers: dict[str, str] = field(default_factory=dict[str, str])
    lost: bool = False
    """The request takes effect, but its response never arrives."""
    delay_ms: int = 0
    """The delay of the response."""


def handle_request(world: StripeWorld, request: StripeRequest) -> StripeResponse:
    """Handle a request."""
    name = world.new_id("req")
    common_headers = {"Request-Id": name, "Stripe-Version": request.headers.get("stripe-version", API_VERSION)}
    fault: faults.StripeFault | None = None
    try:
        _authenticate(world, request.headers)
        fault = faults.next_fault(world, request.path)
        if fault and fault.error:
            raise fault.error
        response = _handle_once(world, request)
        response = StripeResponse(response.status, response.body, {**common_headers, **response.headers})
    except StripeError as error:
        retry = {"Stripe-Should-Retry": "true"} if error.status in {409, 429, 500, 503} else {}
        response = StripeResponse(error.status, error.to_body(), {**common_headers, **retry})
    return replace(response, lost=fault.is_lost, delay_ms=fault.delay_ms) if fault else response


def _authenticate(world: StripeWorld, headers: Mapping[str, str]) -> None:
    sent_key = headers.get("authorization", "").removeprefix("Bearer ")
    if sent_key != world.api_key:
        raise StripeError(401, "Invalid API Key provided.")
    version = headers.get("stripe-version", API_VERSION)
    if version != API_VERSION:
        raise StripeError(400, f"Invalid Stripe API version: {version}; this Stripe knows {API_VERSION} alone.")


def _handle_once(world: StripeWorld, request: StripeRequest) -> StripeResponse:
    """Handle a request, or repeat the response of the first request with the same key."""
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    fingerprint = hashlib.sha256(f"{request.path}\n{request.body}".encode()).hexdigest()
    with world.store.transaction():
        stored = world.store.run("SELECT request, status, body FROM answers WHERE key = ?", key)
        if stored:
            before, status, body = stored[0]
            _refuse_reuse(key, is_same=before == fingerprint)
            return StripeResponse(status, json.loads(body), {"Idempotent-Replayed": "true"})
        world.idempotency_key = key
        try:
            response = _route(world, request)
        except PaymentAttempted as tried:
            response = StripeResponse(tried.error.status, tried.error.to_body())
        finally:
            world.idempotency_key = None
        if key and response.status in _REPEATED_STATUSES:
            values = (key, fingerprint, response.status, json.dumps(response.body))
            world.store.run("INSERT INTO answers (key, request, status, body) VALUES (?, ?, ?, ?)", *values)
        return response


def _route(world: StripeWorld, request: StripeRequest) -> StripeResponse:
    for module in (*_BILLING, *_SUPPORTING):
        found = module.routes.find(request.method, request.path)
        if found:
            handler, path = found
            params = form.Params(form.decode(request.query if request.method == "GET" else request.body))
            paths = params.texts("expand")
            body = handler(StripeCall(world, params, path))
            params.refuse_unread()
            return StripeResponse(200, expand(body, paths, world.store.find))
    msg = f"Unrecognized request URL ({request.method}: {request.path})."
    raise StripeError(404, msg)


def _refuse_reuse(key: str | None, *, is_same: bool) -> None:
    if not is_same:
        msg = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            f"Try using a key other than '{key}' if you meant to execute a different request."
        )
        raise StripeError(400, msg, type="idempotency_error")
