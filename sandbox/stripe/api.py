"""Answers a request of the API: who asks, trouble that is wanted, repetition, and then the route."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from infra.local.stripe import (
    catalogue,
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
from infra.local.stripe.errors import StripeError
from infra.local.stripe.invoicing import Kept
from infra.local.stripe.rendering import expand
from infra.local.stripe.routes import Call
from infra.local.stripe.store import Json
from infra.local.stripe.world import API_VERSION, World

_BILLING = (catalogue, checkout, customers, invoicing, meters, payments, portal, schedules, subscriptions)
_AROUND = (clocks, reports, webhooks)
_KEPT = frozenset({200, 402})
"""Answers that an idempotency key repeats; a request that was not valid was never begun."""


@dataclass(frozen=True)
class Request:
    """One request, as it came."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """By names in small letters."""
    body: str


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: int
    body: Json
    headers: dict[str, str] = field(default_factory=dict[str, str])
    lost: bool = False
    """The work is done, and the answer never arrives."""
    delay_ms: int = 0
    """How long the answer is held back."""


def answer(world: World, request: Request) -> Answer:
    """Answer one request."""
    name = world.new_id("req")
    usual = {"Request-Id": name, "Stripe-Version": request.headers.get("stripe-version", API_VERSION)}
    fault: faults.Fault | None = None
    try:
        _authenticate(world, request.headers)
        fault = faults.take(world, request.path)
        if fault and fault.error:
            raise fault.error
        made = _once(world, request)
        made = Answer(made.status, made.body, {**usual, **made.headers})
    except StripeError as error:
        retry = {"Stripe-Should-Retry": "true"} if error.status in {409, 429, 500, 503} else {}
        made = Answer(error.status, error.to_answer(), {**usual, **retry})
    return replace(made, lost=fault.is_lost, delay_ms=fault.delay_ms) if fault else made


def _authenticate(world: World, headers: Mapping[str, str]) -> None:
    given = headers.get("authorization", "").removeprefix("Bearer ")
    if given != world.api_key:
        raise StripeError(401, "Invalid API Key provided.")
    version = headers.get("stripe-version", API_VERSION)
    if version != API_VERSION:
        raise StripeError(400, f"Invalid Stripe API version: {version}; this Stripe knows {API_VERSION} alone.")


def _once(world: World, request: Request) -> Answer:
    """Answer, or repeat the answer of the first request with the same key."""
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    asked = hashlib.sha256(f"{request.path}\n{request.body}".encode()).hexdigest()
    with world.store.transaction():
        known = world.store.run("SELECT request, status, body FROM answers WHERE key = ?", key)
        if known:
            before, status, body = known[0]
            _refuse_reuse(key, is_same=before == asked)
            return Answer(status, json.loads(body), {"Idempotent-Replayed": "true"})
        world.idempotency_key = key
        try:
            made = _route(world, request)
        except Kept as tried:
            made = Answer(tried.error.status, tried.error.to_answer())
        finally:
            world.idempotency_key = None
        if key and made.status in _KEPT:
            values = (key, asked, made.status, json.dumps(made.body))
            world.store.run("INSERT INTO answers (key, request, status, body) VALUES (?, ?, ?, ?)", *values)
        return made


def _route(world: World, request: Request) -> Answer:
    for module in (*_BILLING, *_AROUND):
        found = module.routes.find(request.method, request.path)
        if found:
            answerer, path = found
            params = form.Params(form.decode(request.query if request.method == "GET" else request.body))
            paths = params.texts("expand")
            body = answerer(Call(world, params, path))
            params.refuse_unread()
            return Answer(200, expand(body, paths, world.store.find))
    msg = f"Unrecognized request URL ({request.method}: {request.path})."
    raise StripeError(404, msg)


def _refuse_reuse(key: str | None, *, is_same: bool) -> None:
    if not is_same:
        msg = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            f"Try using a key other than '{key}' if you meant to execute a different request."
        )
        raise StripeError(400, msg, type="idempotency_error")
