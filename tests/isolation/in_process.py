"""The mesh in one process: the real applications and consumers, tables in memory, and a loop as the bus."""

import base64
import hmac
import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, cast
from urllib.parse import quote

import jwt
import pytest

import services as packages
from cli.api import ApiResponse
from infra.core.document import applications
from infra.services import SERVICES
from sandbox.stripe.keys import StripeKeys
from sandbox.stripe.server import LocalStripe
from services.billing.functions.commands import handler as billing_admin
from services.billing.functions.inbox import handler as inbox
from services.billing.partitions import SLICE as BILLING
from services.billing.stripe_webhooks.operations import receive
from services.core.functions.authorizer import Unauthorized
from services.core.functions.authorizer import handler as authorizer
from services.core.service import API
from services.tenants import wiring
from services.tenants.partitions import SLICE as TENANTS
from services.tenants.tenants.operations import create_tenant
from shared.aws.clients import own_client
from shared.declaration import Access, Function, Slice, Table
from shared.http.app import HttpApp
from shared.plans import Plan
from shared.storage.store import Store
from shared.tenancy.claims import Claims
from shared.times import utc_now
from tests import gateway
from tests.dynamodb.memory_tables import MemoryTables
from tests.isolation.checkout import events_at, pay
from tests.isolation.forged_keys import forged_keys
from tests.isolation.request import Caller, Request
from tests.issuer import AUDIENCE, TokenIssuer, start_issuer, user_claims
from tests.services.billing.fakes import FakeInbox
from tests.services.tenants.pool import make_pool
from tests.tables import BUCKET, REGION, memory_tables

_ENVIRONMENT = {
    "ENVIRONMENT": "test",
    "PROVIDERS_WITHOUT_KEY": "simulate",
    "ALLOW_PRIVATE_BASE_URLS": "false",
    "WORKER_FUNCTION_NAME": "ainexus-test-runs-worker",
    "EVENT_BUS_NAME": "ainexus-test-events",
}
_BROKEN_CONTEXTS = {
    "no principal": {"principal": ""},
    "no role": {"role": ""},
    "an unknown role": {"role": "owner"},
    "no tenant": {"tenant_id": ""},
    "expired": {"expires_at": "1"},
    "no time of expiry": {"expires_at": "soon"},
}
"""Contexts that no authorizer of ours sends, by their changes to the victim's; an empty value is left out."""
KEYS = StripeKeys("sk_test_of_the_attacks", "whsec_of_the_attacks")
_FUNCTIONS = [API, *(function for service in SERVICES for function in service.functions)]


class InProcessApi:
    """Access to the applications without a gateway, so that they also receive requests that it would refuse."""

    def __init__(self, client: MemoryTables, stripe: str | None, issuer: TokenIssuer) -> None:
        self._client = client
        self._stripe = stripe
        self._issuer = issuer
        self._tokens: dict[Caller, str] = {}
        self._forged_keys: dict[str | None, dict[str, str]] = {None: {}}
        self._delivered_event_ids: set[str] = set()
        self._apps = dict(_apps())

    def send(self, request: Request) -> ApiResponse:
        """See `ApiAccess.send`."""
        try:
            context = self._context(request)
        except Unauthorized:
            return ApiResponse(401, {"error": "Unauthorized", "message": "The gateway's own response."}, {})
        result = self._apps[request.operation.method, request.operation.path](_event(request, context))
        headers = {name: ",".join(values) for name, values in result["multiValueHeaders"].items()}
        text: str | None = result["body"]
        is_json = bool(text) and headers.get("Content-Type", "").startswith("application/json")
        return ApiResponse(result["statusCode"], json.loads(text or "") if is_json else text or None, headers)

    def issue_forged_keys(self, tenant_id: str) -> None:
        """Prepare API keys that resemble a valid one of this tenant."""
        self._forged_keys[tenant_id] = forged_keys(self.store(TENANTS), tenant_id)

    def _context(self, request: Request) -> Mapping[str, str]:
        """Return the authorizer's answer about a request; a forged context is passed on as it is."""
        if request.operation.min_role is None:
            return {}
        if isinstance(request.token, Mapping):
            return cast("Mapping[str, str]", request.token)
        if request.token is None and request.caller is None:
            return {}
        token = request.token or self._token(request.caller)
        authorization = token if " " in token else f"Bearer {token}"
        arn = f"arn:aws:execute-api:{REGION}:111111111111:api/test/{request.operation.method}/path"
        return authorizer({"headers": {"authorization": authorization}, "methodArn": arn})["context"]

    def _token(self, caller: Caller | None) -> str:
        assert caller
        if caller not in self._tokens:
            self._tokens[caller] = self._issuer.token(token_claims_of(caller))
        return self._tokens[caller]

    def deliver_events(self, until: Callable[[], bool] = lambda: True) -> None:
        """Deliver every event in an outbox to its subscribers, until all outboxes are empty."""
        while pending := list(self._outbox()):
            for name, item in pending:
                self._client.delete_item(TableName=name, Key={"PK": item["PK"], "SK": item["SK"]})
                self._deliver(json.loads(item["event"]["S"]), source=item["source"]["S"])
        assert until()

    def store(self, owned: Slice) -> Store:
        """See `ApiAccess.store`."""
        return Store(self._client, table=os.environ[owned.table.variable], owned=owned)

    def pay(self, url: str) -> None:
        """See `ApiAccess.pay`. Stripe's events are delivered as webhooks after the check of their signature."""
        pay(url)
        assert self._stripe
        for event in events_at(self._stripe):
            if event["id"] not in self._delivered_event_ids:
                self._delivered_event_ids.add(event["id"])
                receive(self.store(BILLING), FakeInbox(), json.dumps(event), now=utc_now())
                message = {"messageId": event["id"], "body": json.dumps({"event_id": event["id"]})}
                assert inbox({"Records": [message]}) == {"batchItemFailures": []}
        self.deliver_events()

    def forged_tokens(self, victim: Caller, attacker: Caller) -> Mapping[str, Any]:
        """See `ApiAccess.forged_tokens`. The claims are ones that the gateway rejects, or that grant nothing here."""
        theirs, own = identity_of(victim), identity_of(attacker)
        return {
            **{f"token: {name}": token for name, token in self._forged_id_tokens(victim, attacker).items()},
            **{f"API key: {name}": f"Bearer {key}" for name, key in self._forged_keys[victim.tenant_id].items()},
            **{
                f"context: {name}": {key: value for key, value in (theirs | change).items() if value}
                for name, change in _BROKEN_CONTEXTS.items()
            },
            "context: a platform admin of a tenant": own | {"role": "platform_admin"},
            "context: two tenants": own | {"tenant_id": f"{attacker.tenant_id},{victim.tenant_id}"},
            "context: the tenant in capitals": own | {"tenant_id": str(victim.tenant_id).upper()},
            "context: the tenant with a space": own | {"tenant_id": f"{victim.tenant_id} "},
            "context: the tenant in the user's id": own | {"principal": f"user:{victim.tenant_id}"},
        }

    def _forged_id_tokens(self, victim: Caller, attacker: Caller) -> dict[str, str]:
        issuer, theirs = self._issuer, token_claims_of(victim)
        another = TokenIssuer(issuer.url)
        public = json.dumps(issuer.jwks)
        payload = issuer.payload(theirs)
        return {
            "not a token": "INVALID",
            "another scheme": f"Basic {issuer.token(theirs)}",
            "an access token": issuer.token(theirs | {"token_use": "access"}),
            "another client of the pool": issuer.token(theirs | {"aud": "another-client"}),
            "another pool": issuer.token(theirs | {"iss": "http://127.0.0.1/another-pool"}),
            "expired": issuer.token(theirs | {"exp": int(time.time()) - 1}),
            "not signed": jwt.encode(payload, "", algorithm="none", headers={"kid": issuer.kid}),
            "signed with the public key": _signed_with_text(payload, public, kid=issuer.kid),
            "signed by another key": another.token(theirs),
            "an unknown key id": issuer.token(theirs, headers={"kid": "second"}),
            "no tenant": issuer.token(theirs | {"custom:tenant_id": None}),
            "an unknown role": issuer.token(theirs | {"custom:role": "owner"}),
            "no user": issuer.token(theirs | {"sub": None}),
            "a platform admin of a tenant": issuer.token(token_claims_of(attacker) | {"custom:role": "platform_admin"}),
        }

    def items_of(self, tenant_id: str) -> list[str]:
        """Return all items of a tenant in all tables, as text."""
        names = (os.environ[owned.variable] for owned in Table)
        items = (item for name in names for item in self._client.scan(TableName=name)["Items"])
        return sorted(json.dumps(item, sort_keys=True) for item in items if _tenant_of(item) == tenant_id)

    def _outbox(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for owned in (service.slice for service in SERVICES):
            name = os.environ[owned.table.variable]
            due = {":due": {"S": owned.due_key("OUTBOX")}}
            pending = self._client.query(
                TableName=name,
                IndexName="due",
                KeyConditionExpression="due_pk = :due",
                ExpressionAttributeValues=due,  # pyright: ignore[reportArgumentType]  # as botocore takes it
            )
            for entry in pending["Items"]:
                key = {"PK": entry["PK"], "SK": entry["SK"]}
                yield name, self._client.get_item(TableName=name, Key=key)["Item"]  # pyright: ignore[reportTypedDictNotRequiredAccess]  # the index has only existing items

    def _deliver(self, detail: dict[str, Any], *, source: str) -> None:
        body = json.dumps({"source": source, "detail-type": detail["type"], "detail": detail})
        for function in _FUNCTIONS:
            if detail["type"] in function.subscriptions:
                response: dict[str, Any] = _handler(function)({"Records": [{"messageId": detail["id"], "body": body}]})
                assert not response["batchItemFailures"], f"{function.handler} cannot handle {detail}"


@contextmanager
def start_local_stripe() -> Generator[str]:
    """Start a local Stripe and yield its URL."""
    server = LocalStripe(KEYS, path=None, stop_patience_s=0.02).start()
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def start_api(*tenants: str, stripe: str | None = None) -> Generator[InProcessApi]:
    """Start the mesh with these tenants.

    Args:
        tenants: the ids of the tenants.
        stripe: the URL of a local Stripe. None leaves Stripe unconfigured.
    """
    with (
        pytest.MonkeyPatch.context() as environment,
        memory_tables(_caches()) as client,
        start_issuer() as issuer,
    ):
        for name, value in _ENVIRONMENT.items():
            environment.setenv(name, value)
        own_client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        environment.setenv("USER_POOL_ID", make_pool()[1])
        environment.setenv("USER_POOL_CLIENT_ID", AUDIENCE)
        environment.setenv("TOKEN_ISSUER", issuer.url)
        environment.setenv("REPORTER_QUEUE_URL", own_client("sqs").create_queue(QueueName="reporter")["QueueUrl"])
        secret = {"api_key": KEYS.api_key, "webhook_secret": KEYS.webhook_secret} if stripe else {}
        own_client("secretsmanager").create_secret(Name="ainexus-test/stripe/secret", SecretString=json.dumps(secret))
        if stripe:
            environment.setenv("STRIPE_API_BASE", stripe)
            assert "error" not in billing_admin({"command": "setup"})
        running = InProcessApi(client, stripe, issuer)
        for tenant_id in tenants:
            create_tenant(wiring.slice_store(), tenant_id, name=tenant_id, plan=Plan.ENTERPRISE, now=utc_now())
            running.issue_forged_keys(tenant_id)
        running.deliver_events()
        yield running


def _tenant_of(item: Mapping[str, Any]) -> str:
    return item["PK"]["S"].split("#")[1]


def token_claims_of(caller: Caller) -> dict[str, Any]:
    """Return the claims of a caller's token. Users of two tenants may have the same id."""
    return user_claims(caller.tenant_id, caller.role, user_id=f"{caller.role}-{caller.number}")


def identity_of(caller: Caller) -> dict[str, str]:
    """Return the authorizer's context of a caller."""
    return Claims(f"user:{caller.role}-{caller.number}", caller.role, caller.tenant_id).to_context()


def _signed_with_text(payload: Mapping[str, Any], secret: str, *, kid: str) -> str:
    """Return a token that is signed with a text by HMAC, as if the pool's public key were a common secret.

    PyJWT refuses to sign with such a text.
    """
    parts = ({"alg": "HS256", "typ": "JWT", "kid": kid}, payload)
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{_base64url(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _event(request: Request, context: Mapping[str, str]) -> dict[str, Any]:
    operation = request.operation
    event = gateway.request(
        operation.method,
        operation.path,
        path_parameters=request.parameters,
        claims=context,
        body=request.body,
        headers=request.headers,
        query=request.query,
    )
    # As in a client, special characters in a path parameter are percent-encoded.
    encoded = {name: quote(value, safe="") for name, value in request.parameters.items()}
    return {**event, "path": operation.path.format(**encoded)}


def _apps() -> Iterator[tuple[tuple[str, str], HttpApp]]:
    for function in _FUNCTIONS:
        if function.routes:
            for app in applications(function):
                yield from (((route.method, route.path), app) for route in app.routes)


def _handler(function: Function) -> Any:  # noqa: ANN401 — Lambda's own contract
    assert function.access is not Access.NONE
    module, _, name = function.handler.rpartition(".")
    return getattr(import_module(module), name)


def _caches() -> Iterator[Any]:
    """Yield the services' caches per container, which must not outlive the tables."""
    for module in walk_packages(packages.__path__, f"{packages.__name__}."):
        yield from (value for value in vars(import_module(module.name)).values() if hasattr(value, "cache_clear"))
