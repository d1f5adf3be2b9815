"""Who may call what; a caller that may not learns nothing else."""

import pytest

from shared.tenancy.permissions import Role
from tests.gateway import CLIENT_ID, claims
from tests.shared.http.conftest import Client
from tests.shared.http.things import OPEN, THING, THINGS, Service

BODY = {"name": "fourth"}


class TestToken:
    def test_none_is_asked_for_on_an_open_route(self, call: Client) -> None:
        answer = call("GET", OPEN, anonymous=True)
        assert (answer.status, answer.body["status"]) == (200, "healthy")

    def test_a_missing_one_is_401(self, call: Client) -> None:
        answer = call(anonymous=True)
        assert answer.error == (401, "Unauthorized")
        assert answer.body["message"] == "Invalid authentication token"

    def test_an_access_token_is_401(self, call: Client) -> None:
        assert call(token=claims("acme") | {"token_use": "access"}).error == (401, "Unauthorized")

    @pytest.mark.parametrize("audience", ["another-client", "", f"{CLIENT_ID} ", f"[{CLIENT_ID}]"])
    def test_one_of_another_client_of_the_pool_is_401(self, call: Client, audience: str) -> None:
        assert call(token=claims("acme") | {"aud": audience}).error == (401, "Unauthorized")

    def test_one_without_an_audience_is_401(self, call: Client) -> None:
        token = {name: value for name, value in claims("acme").items() if name != "aud"}
        assert call(token=token).error == (401, "Unauthorized")

    def test_one_without_our_attributes_is_401(self, call: Client) -> None:
        assert call(token={"token_use": "id", "aud": CLIENT_ID, "sub": "1"}).error == (401, "Unauthorized")


class TestTenant:
    def test_another_ones_path_is_403(self, call: Client) -> None:
        assert call(tenant_id="other").error == (403, "Forbidden")

    def test_a_platform_admin_may_use_every_path(self, call: Client) -> None:
        assert call(tenant_id="other", token=claims(None, role=Role.PLATFORM_ADMIN)).status == 200

    @pytest.mark.parametrize("broken", [{"body": "{"}, {"body": {"unknown": 1}}, {"query": {"unknown": "1"}}])
    def test_another_ones_path_is_looked_at_before_the_request(self, call: Client, broken: dict[str, object]) -> None:
        assert call("POST", tenant_id="other", **broken).error == (403, "Forbidden")  # pyright: ignore[reportArgumentType]

    def test_the_role_is_looked_at_before_the_request(self, call: Client) -> None:
        assert call("POST", token=claims("acme", role=Role.ANALYST), body="{").error == (403, "Forbidden")


class TestChange:
    @pytest.mark.parametrize("role", [Role.TENANT_ADMIN, Role.DEVELOPER])
    def test_is_open_to_the_role_and_those_above(self, call: Client, role: Role) -> None:
        assert call("POST", token=claims("acme", role=role), body=BODY).status == 201

    @pytest.mark.parametrize("role", [Role.ANALYST, Role.OBSERVER])
    def test_is_closed_to_those_below(self, call: Client, service: Service, role: Role) -> None:
        assert call("POST", token=claims("acme", role=role), body=BODY).error == (403, "Forbidden")
        assert "fourth" not in service.made

    @pytest.mark.parametrize(
        ("status", "error"),
        [("suspended", (403, "Forbidden")), ("suspended_by_billing", (402, "PaymentRequired"))],
    )
    def test_a_suspended_tenant_may_read_alone(
        self, call: Client, service: Service, status: str, error: tuple[int, str]
    ) -> None:
        service.status = status
        assert call("POST", body=BODY).error == error
        assert call("PUT", THING, thing_id="0", body=BODY).error == error
        assert call("GET").status == 200

    def test_needs_the_tenants_feature(self, call: Client, service: Service) -> None:
        service.features = ("linting",)
        assert call("POST", body=BODY).error == (403, "Forbidden")
        assert call("PUT", THING, thing_id="0", body=BODY).status == 204

    def test_needs_the_tokens_feature(self, call: Client) -> None:
        token = claims("acme", role=Role.DEVELOPER, features=("linting",))
        assert call("POST", token=token, body=BODY).error == (403, "Forbidden")

    def test_is_made_in_the_name_of_the_caller(self, call: Client, service: Service) -> None:
        call("POST", body=BODY)
        [caller] = service.callers
        assert (caller.tenant_id, caller.principal, caller.role) == ("acme", "user:8f1c", Role.DEVELOPER)


class TestRoute:
    @pytest.mark.parametrize(("method", "resource"), [("GET", "/v1/unknown"), ("DELETE", THINGS), ("GET", "")])
    def test_an_unknown_one_is_404(self, call: Client, method: str, resource: str) -> None:
        assert call(method, resource).error == (404, "NotFound")

    def test_a_thing_that_does_not_exist_is_404(self, call: Client) -> None:
        assert call("GET", THING, thing_id="99").error == (404, "NotFound")
