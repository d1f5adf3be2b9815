"""Responses and errors have a common format."""

from datetime import UTC, datetime

import pytest

from shared import errors
from shared.errors import AinexusError, Detail
from shared.http.app import EXPOSED_HEADERS
from shared.http.errors import error_response
from shared.tenancy.claims import InvalidToken
from tests.gateway import REQUEST_ID
from tests.shared.http.conftest import ORIGIN, Client
from tests.shared.http.sample_service import ERRORS, OPEN, THING, THINGS, Service

CASES = [
    (InvalidToken("m"), 401, "Unauthorized"),
    (errors.InvalidRequest("m"), 422, "ValidationFailed"),
    (errors.Malformed("m"), 400, "BadRequest"),
    (errors.TooLarge("m"), 413, "PayloadTooLarge"),
    (errors.UnsupportedMediaType("m"), 415, "UnsupportedMediaType"),
    (errors.IdempotencyKeyReused("m"), 422, "IdempotencyKeyReused"),
    (errors.NotFound("m"), 404, "NotFound"),
    (errors.Forbidden("m"), 403, "Forbidden"),
    (errors.PaymentRequired("m"), 402, "PaymentRequired"),
    (errors.Conflict("m"), 409, "Conflict"),
    (errors.ChangedMeanwhile("m"), 409, "Conflict"),
    (errors.PreconditionFailed("m"), 412, "PreconditionFailed"),
    (errors.LimitReached("m"), 409, "LimitReached"),
    (errors.LimitReached("m", resets_at=datetime(2026, 12, 1, tzinfo=UTC)), 429, "LimitReached"),
    (errors.DependencyUnavailable("m"), 503, "DependencyUnavailable"),
    (errors.TooManyRequests("m"), 429, "TooManyRequests"),
]


class TestError:
    @pytest.mark.parametrize(("error", "status", "code"), CASES, ids=lambda case: str(type(case).__name__))
    def test_has_its_status_and_code(
        self, call: Client, service: Service, error: AinexusError, status: int, code: str
    ) -> None:
        service.raises = error
        response = call("GET", ERRORS)
        assert response.error == (status, code)
        assert response.body["message"] == "m"

    def test_of_every_class_is_tested(self) -> None:
        error_classes = {
            error_class
            for error_class in vars(errors).values()
            if isinstance(error_class, type) and issubclass(error_class, AinexusError)
        }
        assert error_classes - {AinexusError} <= {type(error) for error, _, _ in CASES}

    def test_that_is_unexpected_returns_500_without_details(self, call: Client, service: Service) -> None:
        service.raises = RuntimeError("TENANT#acme#RUNS is broken")
        response = call("GET", ERRORS)
        assert response.error == (500, "InternalError")
        assert "RUNS" not in str(response.body)
        assert "RuntimeError" not in str(response.body)

    def test_of_a_monthly_limit_contains_its_numbers(self, call: Client, service: Service) -> None:
        service.raises = errors.LimitReached(
            "m",
            resets_at=datetime(2026, 12, 1, tzinfo=UTC),
            shortage=errors.Shortage("tokens", limit=1_000, needed=700, left=30),
        )
        response = call("GET", ERRORS)
        assert response.error == (429, "LimitReached")
        assert response.body["shortage"] == {"unit": "tokens", "limit": 1_000, "needed": 700, "left": 30}
        assert response.headers["RateLimit-Policy"] == '"tokens";q=1000'
        assert response.headers["RateLimit"] == '"tokens";r=30'

    def test_of_a_limit_contains_its_reset_time(self, call: Client, service: Service) -> None:
        service.raises = errors.LimitReached("m", resets_at=datetime(2026, 12, 1, tzinfo=UTC))
        response = call("GET", ERRORS)
        assert response.body["resets_at"] == "2026-12-01T00:00:00.000Z"
        assert "Retry-After" not in response.headers

    def test_of_an_outage_has_retry_after(self, call: Client, service: Service) -> None:
        service.raises = errors.DependencyUnavailable("m", retry_after_s=1)
        assert call("GET", ERRORS).headers["Retry-After"] == "1"

    def test_contains_details_by_field(self) -> None:
        error = errors.InvalidRequest("m", [Detail("config.model", "is unknown")])
        status, body, _ = error_response(error, request_id="r")
        assert (status, body["details"]) == (422, [{"field": "config.model", "message": "is unknown"}])


class TestResponse:
    def test_has_the_request_id_in_body_and_header(self, call: Client) -> None:
        response = call("GET", OPEN, anonymous=True)
        assert response.body["requestId"] == response.headers["X-Request-Id"] == REQUEST_ID

    def test_of_a_creation_has_location_and_etag(self, call: Client) -> None:
        response = call("POST", body={"name": "fourth"})
        assert (response.status, response.headers["Location"]) == (201, "/v1/tenants/acme/things/3")
        assert response.headers["ETag"] == '"1"'

    def test_contains_unset_fields_as_null(self, call: Client) -> None:
        assert call("GET", THING, thing_id="0").body["thing"] == {"thing_id": "0", "name": "first", "comment": None}

    def test_with_status_204_has_no_body(self, call: Client) -> None:
        response = call("PUT", THING, thing_id="0", body={"name": "changed"})
        assert (response.status, response.body) == (204, None)


class TestIfMatch:
    @pytest.mark.parametrize("tag", ['"1"', "*", '"0", "1"', None])
    def test_accepts_the_current_version(self, call: Client, tag: str | None) -> None:
        headers = {"If-Match": tag} if tag else {}
        assert call("PUT", THING, thing_id="0", body={"name": "x"}, headers=headers).status == 204

    @pytest.mark.parametrize("tag", ['"2"', "1", 'W/"1"', ""])
    def test_refuses_another_version(self, call: Client, service: Service, tag: str) -> None:
        response = call("PUT", THING, thing_id="0", body={"name": "x"}, headers={"If-Match": tag})
        assert response.error == (412, "PreconditionFailed")
        assert service.thing_names[0] == "first"


class TestCors:
    def test_allows_a_listed_origin(self, call: Client) -> None:
        headers = call(headers={"Origin": ORIGIN}).headers
        assert headers["Access-Control-Allow-Origin"] == ORIGIN
        assert headers["Access-Control-Expose-Headers"] == EXPOSED_HEADERS
        assert headers["Vary"] == "Origin"

    def test_allows_a_listed_origin_on_errors(self, call: Client) -> None:
        assert call(anonymous=True, headers={"origin": ORIGIN}).headers["Access-Control-Allow-Origin"] == ORIGIN

    @pytest.mark.parametrize("origin", ["https://evil.example", f"{ORIGIN}.evil.example", "null", None])
    def test_refuses_other_origins(self, call: Client, origin: str | None) -> None:
        headers = call(headers={"Origin": origin} if origin else {}).headers
        assert not [name for name in headers if name.startswith("Access-Control")]
        assert headers["Vary"] == "Origin"

    def test_refuses_every_origin_without_a_list(self, call: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CORS_ORIGINS")
        assert "Access-Control-Allow-Origin" not in call(headers={"Origin": ORIGIN}).headers


def test_app_lists_its_registered_routes(call: Client) -> None:
    assert [(route.method, route.path) for route in call.app.routes] == [
        ("GET", OPEN),
        ("GET", THINGS),
        ("GET", THING),
        ("GET", ERRORS),
        ("POST", THINGS),
        ("PUT", THING),
    ]
