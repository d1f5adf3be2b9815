"""The mesh in one process: the real applications and consumers, tables in memory, and a loop as the bus."""

import json
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pkgutil import walk_packages
from typing import Any
from urllib.parse import quote

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
from services.core.service import API
from services.tenants import wiring
from services.tenants.tenants.operations import create_tenant
from shared.aws.clients import own_client
from shared.declaration import Access, Function, Slice, Table
from shared.http.app import HttpApp
from shared.plans import Plan
from shared.storage.store import Store
from shared.times import utc_now
from tests import gateway
from tests.dynamodb.memory_tables import MemoryTables
from tests.isolation.checkout import events_at, pay
from tests.isolation.request import Caller, Request
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
KEYS = StripeKeys("sk_test_of_the_attacks", "whsec_of_the_attacks")
_FUNCTIONS = [API, *(function for service in SERVICES for function in service.functions)]


class InProcessApi:
    """Access to the applications without a gateway, so that they also receive requests that it would refuse."""

    def __init__(self, client: MemoryTables, stripe: str | None) -> None:
        self._client = client
        self._stripe = stripe
        self._delivered_event_ids: set[str] = set()
        self._apps = dict(_apps())

    def send(self, request: Request) -> ApiResponse:
        """See `ApiAccess.send`."""
        result = self._apps[request.operation.method, request.operation.path](_event(request))
        headers = {name: ",".join(values) for name, values in result["multiValueHeaders"].items()}
        text: str | None = result["body"]
        is_json = bool(text) and headers.get("Content-Type", "").startswith("application/json")
        return ApiResponse(result["statusCode"], json.loads(text or "") if is_json else text or None, headers)

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
        victim_claims, own = claims_of(victim), claims_of(attacker)
        tenant_id = str(victim.tenant_id)
        return {
            "an access token": victim_claims | {"token_use": "access"},
            "another client of the pool": victim_claims | {"aud": "another-client"},
            "no client": {name: value for name, value in victim_claims.items() if name != "aud"},
            "no use": {name: value for name, value in victim_claims.items() if name != "token_use"},
            "no role": {name: value for name, value in victim_claims.items() if name != "custom:role"},
            "an unknown role": victim_claims | {"custom:role": "owner"},
            "no tenant": {name: value for name, value in victim_claims.items() if name != "custom:tenant_id"},
            "an empty tenant": victim_claims | {"custom:tenant_id": ""},
            "no user": {name: value for name, value in victim_claims.items() if name != "sub"},
            "a platform admin of a tenant": own | {"custom:role": "platform_admin"},
            "two tenants": own | {"custom:tenant_id": f"{attacker.tenant_id},{tenant_id}"},
            "the tenant in capitals": own | {"custom:tenant_id": tenant_id.upper()},
            "the tenant with a space": own | {"custom:tenant_id": f"{tenant_id} "},
            "the tenant in the user's id": own | {"sub": tenant_id},
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
    with pytest.MonkeyPatch.context() as environment, memory_tables(_caches()) as client:
        for name, value in _ENVIRONMENT.items():
            environment.setenv(name, value)
        own_client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        environment.setenv("USER_POOL_ID", make_pool()[1])
        environment.setenv("USER_POOL_CLIENT_ID", gateway.CLIENT_ID)
        environment.setenv("REPORTER_QUEUE_URL", own_client("sqs").create_queue(QueueName="reporter")["QueueUrl"])
        secret = {"api_key": KEYS.api_key, "webhook_secret": KEYS.webhook_secret} if stripe else {}
        own_client("secretsmanager").create_secret(Name="ainexus-test/stripe/secret", SecretString=json.dumps(secret))
        if stripe:
            environment.setenv("STRIPE_API_BASE", stripe)
            assert "error" not in billing_admin({"command": "setup"})
        for tenant_id in tenants:
            create_tenant(wiring.slice_store(), tenant_id, name=tenant_id, plan=Plan.ENTERPRISE, now=utc_now())
        running = InProcessApi(client, stripe)
        running.deliver_events()
        yield running


def _tenant_of(item: Mapping[str, Any]) -> str:
    return item["PK"]["S"].split("#")[1]


def claims_of(caller: Caller) -> dict[str, str]:
    """Return the claims of a caller's token. Users of two tenants may have the same id."""
    payload = gateway.claims(caller.tenant_id, role=caller.role)
    return {**payload, "sub": f"{caller.role}-{caller.number}"}


def _event(request: Request) -> dict[str, Any]:
    operation = request.operation
    event = gateway.request(
        operation.method,
        operation.path,
        path_parameters=request.parameters,
        claims=_claims(request),
        body=request.body,
        headers=request.headers,
        query=request.query,
    )
    # As in a client, special characters in a path parameter are percent-encoded.
    encoded = {name: quote(value, safe="") for name, value in request.parameters.items()}
    return {**event, "path": operation.path.format(**encoded)}


def _claims(request: Request) -> Mapping[str, str] | None:
    if request.token is not None:
        return request.token
    return claims_of(request.caller) if request.caller and request.operation.min_role else None


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
