"""Access is checked first, so that a refused caller receives no other information."""

import pytest

from shared.tenancy.permissions import Role
from tests.gateway import claims
from tests.shared.http.conftest import Client
from tests.shared.http.sample_service import OPEN, THING, THINGS, Service

BODY = {"name": "fourth"}


class TestToken:
    def test_is_not_required_on_an_open_route(self, call: Client) -> None:
        response = call("GET", OPEN, anonymous=True)
        assert (response.status, response.body["status"]) == (200, "healthy")

    def test_missing_returns_401(self, call: Client) -> None:
        response = call(anonymous=True)
        assert response.error == (401, "Unauthorized")
        assert response.body["message"] == "Invalid authentication token."

    @pytest.mark.parametrize("name", ["principal", "role", "tenant_id"])
    def test_without_a_part_of_the_context_returns_401(self, call: Client, name: str) -> None:
        token = {key: value for key, value in claims("acme").items() if key != name}
        assert call(token=token).error == (401, "Unauthorized")

    def test_expired_since_it_was_checked_returns_401(self, call: Client) -> None:
        assert call(token=claims("acme") | {"expires_at": "1"}).error == (401, "Unauthorized")


class TestApiKey:
    KEY = claims("acme") | {"principal": "key:key_1"}

    def test_cannot_call_a_route_that_has_no_scope(self, call: Client) -> None:
        response = call(token=self.KEY)
        assert response.error == (403, "Forbidden")
        assert response.body["message"] == "API keys cannot call this route. Use the token of a user."


class TestTenant:
    def test_path_of_another_tenant_returns_403(self, call: Client) -> None:
        assert call(tenant_id="other").error == (403, "Forbidden")

    def test_path_of_any_tenant_is_allowed_for_a_platform_admin(self, call: Client) -> None:
        assert call(tenant_id="other", token=claims(None, role=Role.PLATFORM_ADMIN)).status == 200

    @pytest.mark.parametrize("invalid", [{"body": "{"}, {"body": {"unknown": 1}}, {"query": {"unknown": "1"}}])
    def test_path_is_checked_before_the_request(self, call: Client, invalid: dict[str, object]) -> None:
        assert call("POST", tenant_id="other", **invalid).error == (403, "Forbidden")  # pyright: ignore[reportArgumentType]

    def test_role_is_checked_before_the_request(self, call: Client) -> None:
        assert call("POST", token=claims("acme", role=Role.ANALYST), body="{").error == (403, "Forbidden")


class TestChange:
    @pytest.mark.parametrize("role", [Role.TENANT_ADMIN, Role.DEVELOPER])
    def test_is_allowed_for_the_least_role_and_above(self, call: Client, role: Role) -> None:
        assert call("POST", token=claims("acme", role=role), body=BODY).status == 201

    @pytest.mark.parametrize("role", [Role.ANALYST, Role.OBSERVER])
    def test_is_refused_for_lower_roles(self, call: Client, service: Service, role: Role) -> None:
        assert call("POST", token=claims("acme", role=role), body=BODY).error == (403, "Forbidden")
        assert "fourth" not in service.thing_names

    @pytest.mark.parametrize(
        ("status", "error"),
        [("suspended", (403, "Forbidden")), ("suspended_by_billing", (402, "PaymentRequired"))],
    )
    def test_is_refused_for_a_suspended_tenant_which_can_still_read(
        self, call: Client, service: Service, status: str, error: tuple[int, str]
    ) -> None:
        service.status = status
        assert call("POST", body=BODY).error == error
        assert call("PUT", THING, thing_id="0", body=BODY).error == error
        assert call("GET").status == 200

    def test_requires_the_feature_of_the_tenant(self, call: Client, service: Service) -> None:
        service.features = ("linting",)
        assert call("POST", body=BODY).error == (403, "Forbidden")
        assert call("PUT", THING, thing_id="0", body=BODY).status == 204

    def test_requires_the_feature_of_the_token(self, call: Client) -> None:
        token = claims("acme", role=Role.DEVELOPER, features=("linting",))
        assert call("POST", token=token, body=BODY).error == (403, "Forbidden")

    def test_receives_the_caller(self, call: Client, service: Service) -> None:
        call("POST", body=BODY)
        [caller] = service.callers
        assert (caller.tenant_id, caller.principal, caller.role) == ("acme", "user:8f1c", Role.DEVELOPER)


class TestRoute:
    @pytest.mark.parametrize(("method", "resource"), [("GET", "/v1/unknown"), ("DELETE", THINGS), ("GET", "")])
    def test_unknown_returns_404(self, call: Client, method: str, resource: str) -> None:
        assert call(method, resource).error == (404, "NotFound")

    def test_of_a_missing_thing_returns_404(self, call: Client) -> None:
        assert call("GET", THING, thing_id="99").error == (404, "NotFound")
