"""The routes of a tenant's own keys, which are write-only and for admins."""

import io
import json
import logging
from collections.abc import Generator
from typing import Any

import pytest

from services.agents import wiring
from services.agents.partitions import SLICE
from services.agents.provider_keys import operations
from services.agents.provider_keys.domain import ProviderKey
from services.agents.provider_keys.gateway import FakeVault
from shared.aws.clients import own_client
from shared.observability import logger
from shared.storage.transaction import Expression
from shared.tenancy.permissions import Role
from tests.services.agents.callers import AGENTS, NEW, TENANT, AgentsApiResponse, AgentsClient

pytestmark = pytest.mark.usefixtures("mesh")

ROUTE = "/v1/tenants/{tenant_id}/provider-keys/{provider}"
ROUTES = "/v1/tenants/{tenant_id}/provider-keys"
KEY = "sk-own-0123456789"
SERVER = "https://llm.example/v1"


@pytest.fixture
def admin() -> AgentsClient:
    """Return a client that may change keys."""
    return AgentsClient(Role.TENANT_ADMIN)


@pytest.fixture
def log() -> Generator[io.StringIO]:
    """Return the log of the test."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logger.registered_formatter)
    inner = logging.getLogger(logger.name)
    inner.addHandler(handler)
    yield text
    inner.removeHandler(handler)


def put(
    who: AgentsClient, body: object, *, provider: str = "openai", method: str = "PUT", key: str = ""
) -> AgentsApiResponse:
    """Store a key."""
    return who.call(method, ROUTE, body, provider=provider, Idempotency_Key=key)


def stored(provider: str = "openai") -> Any:  # noqa: ANN401 — JSON
    """Return the secret as the workers read it."""
    name = f"ainexus-test/tenants/{TENANT}/{provider}/key"
    return json.loads(own_client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])


class TestPut:
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    @pytest.mark.parametrize("provider", ["openai", "anthropic"])
    def test_stores_the_key_without_returning_it(self, admin: AgentsClient, provider: str, method: str) -> None:
        answer = put(admin, {"api_key": KEY}, provider=provider, method=method)
        found = answer.body["provider_key"]
        assert found.pop("since")
        assert (answer.status, found) == (200, {"provider": provider, "base_url": None})
        assert stored(provider) == {"api_key": KEY}

    def test_stores_the_server_of_the_key(self, admin: AgentsClient) -> None:
        answer = put(admin, {"api_key": KEY, "base_url": SERVER})
        assert answer.body["provider_key"]["base_url"] == SERVER
        assert stored() == {"api_key": KEY, "base_url": SERVER}

    def test_replaces_key_and_server(self, admin: AgentsClient) -> None:
        put(admin, {"api_key": KEY, "base_url": SERVER})
        assert put(admin, {"api_key": "sk-next"}).status == 200
        assert stored() == {"api_key": "sk-next"}

    def test_stores_a_key_for_azure_with_its_server(self, admin: AgentsClient) -> None:
        body = {"api_key": KEY, "base_url": "https://acme.openai.azure.com/openai/v1"}
        assert put(admin, body, provider="azure").status == 200
        assert stored("azure") == body

    @pytest.mark.parametrize("server", [{}, {"base_url": SERVER}, {"base_url": "https://api.openai.com/v1"}])
    def test_refuses_a_key_for_azure_without_its_server(self, admin: AgentsClient, server: dict[str, str]) -> None:
        answer = put(admin, {"api_key": KEY, **server}, provider="azure")
        assert (answer.status, answer.fields) == (422, ["base_url"])

    @pytest.mark.parametrize("provider", ["bedrock", "simulated", "OpenAI", "openai-2"])
    def test_returns_404_for_an_unsupported_provider(self, admin: AgentsClient, provider: str) -> None:
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
    def test_names_the_invalid_field(self, admin: AgentsClient, body: object, wrong: str) -> None:
        answer = put(admin, body)
        assert (answer.status, answer.fields) == (422, [wrong])

    def test_accepts_a_private_server_if_the_environment_allows_it(
        self, admin: AgentsClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALLOW_PRIVATE_BASE_URLS", "true")
        wiring.base_urls.cache_clear()
        local = "http://127.0.0.1:11434/v1"
        assert put(admin, {"api_key": KEY, "base_url": local}).status == 200
        config = {"model": "llama3", "base_url": local}
        agent = admin.call("POST", AGENTS, {**NEW, "config": config})
        assert (agent.status, agent.agent["config"]) == (201, config)


def listed(who: AgentsClient) -> list[dict[str, Any]]:
    """Return the keys in the list."""
    answer = who.call("GET", ROUTES)
    assert answer.status == 200
    assert KEY not in json.dumps(answer.body)
    return answer.body["provider_keys"]


class TestList:
    def test_is_empty_without_keys(self) -> None:
        assert listed(AgentsClient(Role.OBSERVER)) == []

    def test_has_server_and_time_of_each_key_but_not_the_key(self, admin: AgentsClient) -> None:
        first = put(admin, {"api_key": KEY, "base_url": SERVER}).body["provider_key"]
        second = put(admin, {"api_key": KEY}, provider="anthropic").body["provider_key"]
        assert listed(AgentsClient(Role.OBSERVER)) == [second, first]

    def test_has_the_newest_key_of_a_provider(self, admin: AgentsClient) -> None:
        put(admin, {"api_key": KEY, "base_url": SERVER})
        newest = put(admin, {"api_key": KEY}).body["provider_key"]
        assert listed(admin) == [newest]

    def test_lacks_deleted_keys(self, admin: AgentsClient) -> None:
        put(admin, {"api_key": KEY})
        admin.call("DELETE", ROUTE, provider="openai")
        assert listed(admin) == []

    def test_lacks_a_key_whose_deletion_was_interrupted_after_a_retry(self, admin: AgentsClient) -> None:
        put(admin, {"api_key": KEY})
        name = f"ainexus-test/tenants/{TENANT}/openai/key"
        own_client("secretsmanager").delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        assert admin.call("DELETE", ROUTE, provider="openai").status == 404
        assert listed(admin) == []

    def test_is_closed_to_other_tenants(self) -> None:
        assert AgentsClient(Role.TENANT_ADMIN, tenant_id="other").call("GET", ROUTES).status == 403


class TestDelete:
    def test_returns_204_then_404(self, admin: AgentsClient) -> None:
        put(admin, {"api_key": KEY})
        answers = [admin.call("DELETE", ROUTE, provider="openai") for _ in range(2)]
        assert [(answer.status, answer.headers.get("ETag")) for answer in answers] == [(204, None), (404, None)]

    def test_returns_404_for_a_missing_key(self, admin: AgentsClient) -> None:
        assert admin.call("DELETE", ROUTE, provider="anthropic").status == 404


class TestPermissions:
    @pytest.mark.parametrize("role", [Role.OBSERVER, Role.ANALYST, Role.DEVELOPER])
    def test_requires_an_admin(self, role: Role) -> None:
        assert put(AgentsClient(role), {"api_key": KEY}).status == 403
        assert AgentsClient(role).call("DELETE", ROUTE, provider="openai").status == 403

    def test_requires_the_feature(self) -> None:
        assert put(AgentsClient(Role.TENANT_ADMIN, features=("linting",)), {"api_key": KEY}).status == 403

    def test_refuses_another_tenants_admin(self) -> None:
        assert put(AgentsClient(Role.TENANT_ADMIN, tenant_id="other"), {"api_key": KEY}).status == 403

    def test_cannot_be_read(self, admin: AgentsClient) -> None:
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
    def test_key_is_in_no_response_log_or_table(self, admin: AgentsClient, body: object, log: io.StringIO) -> None:
        answer = put(admin, body, key="one")
        everything = own_client("dynamodb").scan(TableName="ainexus-test-entities")["Items"]
        assert "answered" in log.getvalue()
        assert KEY not in repr(answer) + log.getvalue() + repr(everything)

    def test_publishes_nothing_but_the_audit_record(self, admin: AgentsClient) -> None:
        put(admin, {"api_key": KEY, "base_url": SERVER})
        condition = Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")})
        [record] = wiring.slice_store().query_all(condition)
        assert record["type"] == "change.recorded.v1"
        assert KEY not in repr(record)
        assert SERVER not in repr(record)


class TestDestroy:
    def test_deletes_all_keys_of_the_tenant_and_no_others(self) -> None:
        vault = FakeVault()
        for tenant_id in (TENANT, "other"):
            for provider in ("openai", "anthropic"):
                vault.put(tenant_id, ProviderKey(provider, KEY))
        for _ in range(2):
            operations.destroy_provider_keys(vault, TENANT)
        assert sorted(vault.keys) == [("other", "anthropic"), ("other", "openai")]
