"""The routes of a tenant's own keys: write-only, for its admins, and never shown."""

import io
import json
import logging
from collections.abc import Generator
from typing import Any

import pytest

from services.agents import operations, wiring
from services.agents.domain import ProviderKey
from services.agents.gateways.vault import FakeVault
from services.agents.table import SLICE
from shared.observability import logger
from shared.storage.clients import own_client
from shared.storage.transaction import Expression
from shared.tenancy.permissions import Role
from tests.services.agents.callers import AGENTS, NEW, TENANT, Answered, Client

pytestmark = pytest.mark.usefixtures("mesh")

ROUTE = "/v1/tenants/{tenant_id}/provider-keys/{provider}"
KEY = "sk-own-0123456789"
SERVER = "https://llm.example/v1"


@pytest.fixture
def admin() -> Client:
    """Who may change keys."""
    return Client(Role.TENANT_ADMIN)


@pytest.fixture
def log() -> Generator[io.StringIO]:
    """What is logged meanwhile."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logger.registered_formatter)
    inner = logging.getLogger(logger.name)
    inner.addHandler(handler)
    yield text
    inner.removeHandler(handler)


def put(who: Client, body: object, *, provider: str = "openai", method: str = "PUT", key: str = "") -> Answered:
    """Ask for a key to be kept."""
    return who.call(method, ROUTE, body, provider=provider, Idempotency_Key=key)


def stored(provider: str = "openai") -> Any:  # noqa: ANN401 — JSON
    """What the workers read."""
    name = f"ainexus-test/tenants/{TENANT}/{provider}/key"
    return json.loads(own_client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])


class TestPut:
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    @pytest.mark.parametrize("provider", ["openai", "anthropic"])
    def test_keeps_the_key_and_does_not_show_it(self, admin: Client, provider: str, method: str) -> None:
        answer = put(admin, {"api_key": KEY}, provider=provider, method=method)
        assert (answer.status, answer.body["provider_key"]) == (200, {"provider": provider, "base_url": None})
        assert stored(provider) == {"api_key": KEY}

    def test_keeps_the_server_that_it_is_for(self, admin: Client) -> None:
        answer = put(admin, {"api_key": KEY, "base_url": SERVER})
        assert answer.body["provider_key"] == {"provider": "openai", "base_url": SERVER}
        assert stored() == {"api_key": KEY, "base_url": SERVER}

    def test_again_replaces_both(self, admin: Client) -> None:
        put(admin, {"api_key": KEY, "base_url": SERVER})
        assert put(admin, {"api_key": "sk-next"}).status == 200
        assert stored() == {"api_key": "sk-next"}

    @pytest.mark.parametrize("provider", ["bedrock", "simulated", "OpenAI", "openai-2"])
    def test_of_another_provider_is_not_found(self, admin: Client, provider: str) -> None:
        assert put(admin, {"api_key": KEY}, provider=provider).status == 404
        assert admin.call("DELETE", ROUTE, provider=provider).status == 404

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, "api_key"),
            ({"api_key": ""}, "api_key"),
            ({"api_key": 5}, "api_key"),
            ({"api_key": None}, "api_key"),
            ({"api_key": f"{KEY}\r\nHost: evil.example"}, "api_key"),
            ({"api_key": f"{KEY} "}, "api_key"),
            ({"api_key": f"{KEY}\n"}, "api_key"),
            ({"api_key": KEY * 100}, "api_key"),
            ({"api_key": KEY, "base_url": "http://127.0.0.1:11434/v1"}, "base_url"),
            ({"api_key": KEY, "base_url": "https://me:pass@llm.example"}, "base_url"),
            ({"api_key": KEY, "base_url": 5}, "base_url"),
            ({"api_key": KEY, "name": "x"}, "name"),
        ],
    )
    def test_says_which_field_is_wrong(self, admin: Client, body: object, wrong: str) -> None:
        answer = put(admin, body)
        assert (answer.status, answer.fields) == (422, [wrong])

    def test_a_server_of_ones_own_is_allowed_where_the_environment_says_so(
        self, admin: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALLOW_PRIVATE_BASE_URLS", "true")
        wiring.addresses.cache_clear()
        local = "http://127.0.0.1:11434/v1"
        assert put(admin, {"api_key": KEY, "base_url": local}).status == 200
        config = {"model": "llama3", "base_url": local}
        agent = admin.call("POST", AGENTS, {**NEW, "config": config})
        assert (agent.status, agent.agent["config"]) == (201, config)


class TestDelete:
    def test_takes_it_out_of_use_and_again_is_not_found(self, admin: Client) -> None:
        put(admin, {"api_key": KEY})
        answers = [admin.call("DELETE", ROUTE, provider="openai") for _ in range(2)]
        assert [(answer.status, answer.headers.get("ETag")) for answer in answers] == [(204, None), (404, None)]

    def test_one_that_never_was_is_not_found(self, admin: Client) -> None:
        assert admin.call("DELETE", ROUTE, provider="anthropic").status == 404


class TestWhoMay:
    @pytest.mark.parametrize("role", [Role.OBSERVER, Role.ANALYST, Role.DEVELOPER])
    def test_only_admins(self, role: Role) -> None:
        assert put(Client(role), {"api_key": KEY}).status == 403
        assert Client(role).call("DELETE", ROUTE, provider="openai").status == 403

    def test_only_with_the_feature(self) -> None:
        assert put(Client(Role.TENANT_ADMIN, features=("linting",)), {"api_key": KEY}).status == 403

    def test_nobody_of_another_tenant(self) -> None:
        assert put(Client(Role.TENANT_ADMIN, tenant_id="other"), {"api_key": KEY}).status == 403

    def test_nobody_can_read_it(self, admin: Client) -> None:
        put(admin, {"api_key": KEY})
        assert admin.call("GET", ROUTE, provider="openai").status == 404


class TestSecrecy:
    BODIES = (
        {"api_key": KEY},
        {"api_key": KEY, "base_url": SERVER},
        {"api_key": KEY, "base_url": "http://x"},
        {"api_key": KEY, "more": KEY},
        {"api_key": [KEY]},
        {"api_key": f"{KEY}\n"},
        f'{{"api_key": "{KEY}"',
    )

    @pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
    def test_it_stands_in_no_answer_no_log_and_no_table(self, admin: Client, body: object, log: io.StringIO) -> None:
        answer = put(admin, body, key="one")
        everything = own_client("dynamodb").scan(TableName="ainexus-test-entities")["Items"]
        assert "answered" in log.getvalue()
        assert KEY not in repr(answer) + log.getvalue() + repr(everything)

    def test_it_is_said_to_nobody(self, admin: Client) -> None:
        put(admin, {"api_key": KEY})
        condition = Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")})
        assert list(wiring.slice_store().query_all(condition)) == []


class TestDestroy:
    def test_a_deleted_tenants_keys_are_all_gone_and_those_of_others_stay(self) -> None:
        vault = FakeVault()
        for tenant_id in (TENANT, "other"):
            for provider in ("openai", "anthropic"):
                vault.put(tenant_id, ProviderKey(provider, KEY))
        for _ in range(2):
            operations.destroy_provider_keys(vault, TENANT)
        assert sorted(vault.keys) == [("other", "anthropic"), ("other", "openai")]
