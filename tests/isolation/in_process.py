"""The whole mesh in one process: the real applications and consumers, tables under moto, and a bus that is a loop."""

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
from infra.core.functions import API
from infra.local.stripe.keys import Keys
from infra.local.stripe.server import LocalStripe
from infra.services import SERVICES
from services.billing.consumer import admin as billing_admin
from services.billing.consumer import inbox
from services.billing.gateways.inbox import FakeInbox
from services.billing.operations.webhooks import receive
from services.billing.table import SLICE as BILLING
from services.tenants import wiring
from services.tenants.operations.tenants import create_tenant
from shared.declaration import Access, Function, Slice, Table
from shared.http.app import HttpApp
from shared.plans import Plan
from shared.storage.clients import own_client
from shared.storage.store import Store
from shared.times import utc_now
from tests import gateway
from tests.dynamodb.tables import MemoryTables
from tests.isolation.request import Caller, Request
from tests.isolation.till import events_at, pay
from tests.services.tenants.pool import make_pool
from tests.tables import BUCKET, REGION, memory_tables

_VARIABLES = {
    "ENVIRONMENT": "test",
    "PROVIDERS_WITHOUT_KEY": "simulate",
    "ALLOW_PRIVATE_BASE_URLS": "false",
    "WORKER_FUNCTION_NAME": "ainexus-test-runs-worker",
    "EVENT_BUS_NAME": "ainexus-test-events",
}
KEYS = Keys("sk_test_of_the_attacks", "whsec_of_the_attacks")
_FUNCTIONS = [API, *(function for service in SERVICES for function in service.functions)]


class Inside:
    """A way into the applications without a gateway: what it would have refused comes in here too."""

    def __init__(self, client: MemoryTables, stripe: str | None) -> None:
        self._client = client
        self._stripe = stripe
        self._heard: set[str] = set()
        self._apps = dict(_apps())

    def send(self, request: Request) -> ApiResponse:
        """See `Way.send`."""
        answered = self._apps[request.operation.method, request.operation.path](_event(request))
        headers = {name: ",".join(values) for name, values in answered["multiValueHeaders"].items()}
        text: str | None = answered["body"]
        is_json = bool(text) and headers.get("Content-Type", "").startswith("application/json")
        return ApiResponse(answered["statusCode"], json.loads(text or "") if is_json else text or None, headers)

    def settle(self, until: Callable[[], bool] = lambda: True) -> None:
        """Bring every event that waits in an outbox to all who asked for it, until none waits."""
        while waiting := list(self._outbox()):
            for name, item in waiting:
                self._client.delete_item(TableName=name, Key={"PK": item["PK"], "SK": item["SK"]})
                self._deliver(json.loads(item["event"]["S"]), source=item["source"]["S"])
        assert until()

    def store(self, owned: Slice) -> Store:
        """See `Way.store`."""
        return Store(self._client, table=os.environ[owned.table.variable], owned=owned)

    def pay(self, url: str) -> None:
        """See `Way.pay`; what Stripe tells of it comes in as webhooks do, behind their signature."""
        pay(url)
        assert self._stripe
        for event in events_at(self._stripe):
            if event["id"] not in self._heard:
                self._heard.add(event["id"])
                receive(self.store(BILLING), FakeInbox(), json.dumps(event), now=utc_now())
                message = {"messageId": event["id"], "body": json.dumps({"event_id": event["id"]})}
                assert inbox({"Records": [message]}) == {"batchItemFailures": []}
        self.settle()

    def forgeries(self, victim: Caller, attacker: Caller) -> Mapping[str, Any]:
        """See `Way.forgeries`: claims that the gateway would never hand over, or that grant nothing here."""
        good, own = claims_of(victim), claims_of(attacker)
        tenant_id = str(victim.tenant_id)
        return {
            "an access token": good | {"token_use": "access"},
            "another client of the pool": good | {"aud": "another-client"},
            "no client": {name: value for name, value in good.items() if name != "aud"},
            "no use": {name: value for name, value in good.items() if name != "token_use"},
            "no role": {name: value for name, value in good.items() if name != "custom:role"},
            "an unknown role": good | {"custom:role": "owner"},
            "no tenant": {name: value for name, value in good.items() if name != "custom:tenant_id"},
            "an empty tenant": good | {"custom:tenant_id": ""},
            "no user": {name: value for name, value in good.items() if name != "sub"},
            "a platform admin of a tenant": own | {"custom:role": "platform_admin"},
            "two tenants": own | {"custom:tenant_id": f"{attacker.tenant_id},{tenant_id}"},
            "the tenant in capitals": own | {"custom:tenant_id": tenant_id.upper()},
            "the tenant with a space": own | {"custom:tenant_id": f"{tenant_id} "},
            "the tenant in the user's id": own | {"sub": tenant_id},
        }

    def items_of(self, tenant_id: str) -> list[str]:
        """Everything that a tenant has in any table, as text."""
        names = (os.environ[owned.variable] for owned in Table)
        items = (item for name in names for item in self._client.scan(TableName=name)["Items"])
        return sorted(json.dumps(item, sort_keys=True) for item in items if _tenant_of(item) == tenant_id)

    def _outbox(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for owned in (service.slice for service in SERVICES):
            name = os.environ[owned.table.variable]
            due = {":due": {"S": owned.due_key("OUTBOX")}}
            waiting = self._client.query(
                TableName=name,
                IndexName="due",
                KeyConditionExpression="due_pk = :due",
                ExpressionAttributeValues=due,  # pyright: ignore[reportArgumentType]  # as botocore takes it
            )
            for key in waiting["Items"]:
                wanted = {"PK": key["PK"], "SK": key["SK"]}
                yield name, self._client.get_item(TableName=name, Key=wanted)["Item"]  # pyright: ignore[reportTypedDictNotRequiredAccess]  # it is there

    def _deliver(self, detail: dict[str, Any], *, source: str) -> None:
        body = json.dumps({"source": source, "detail-type": detail["type"], "detail": detail})
        for function in _FUNCTIONS:
            if detail["type"] in function.subscriptions:
                answer: dict[str, Any] = _handler(function)({"Records": [{"messageId": detail["id"], "body": body}]})
                assert not answer["batchItemFailures"], f"{function.handler} cannot handle {detail}"


@contextmanager
def stripe_of_its_own() -> Generator[str]:
    """A local Stripe; gives its URL."""
    server = LocalStripe(KEYS, path=None, stop_patience_s=0.02).start()
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def inside(*tenants: str, stripe: str | None = None) -> Generator[Inside]:
    """The mesh with these tenants in it.

    Args:
        tenants: their ids.
        stripe: the URL of a local Stripe; None: none is configured.
    """
    with pytest.MonkeyPatch.context() as environment, memory_tables(_caches()) as client:
        for name, value in _VARIABLES.items():
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
        made = Inside(client, stripe)
        made.settle()
        yield made


def _tenant_of(item: Mapping[str, Any]) -> str:
    return item["PK"]["S"].split("#")[1]


def claims_of(caller: Caller) -> dict[str, str]:
    """What the token of a caller says; users of two tenants may even have the same id."""
    said = gateway.claims(caller.tenant_id, role=caller.role)
    return {**said, "sub": f"{caller.role}-{caller.number}"}


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
    # As a client writes it: what is odd in a part of the path is encoded.
    encoded = {name: quote(value, safe="") for name, value in request.parameters.items()}
    return {**event, "path": operation.path.format(**encoded)}


def _claims(request: Request) -> Mapping[str, str] | None:
    if request.token is not None:
        return request.token
    return claims_of(request.caller) if request.caller and request.operation.least else None


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
    """Whatever the services keep per container; it must not outlive the tables."""
    for found in walk_packages(packages.__path__, f"{packages.__name__}."):
        yield from (value for value in vars(import_module(found.name)).values() if hasattr(value, "cache_clear"))
