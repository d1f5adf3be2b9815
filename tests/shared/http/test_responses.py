"""The one shape of answers and errors."""

from datetime import UTC, datetime

import pytest

from shared import errors
from shared.errors import AinexusError, Detail
from shared.http.app import EXPOSED_HEADERS
from shared.http.errors import error_answer
from shared.tenancy.claims import InvalidToken
from tests.gateway import REQUEST_ID
from tests.shared.http.conftest import ORIGIN, Client
from tests.shared.http.things import ERRORS, OPEN, THING, THINGS, Service

CASES = [
    (InvalidToken("m"), 401, "Unauthorized"),
    (errors.InvalidRequest("m"), 422, "ValidationFailed"),
    (errors.Malformed("m"), 400, "BadRequest"),
    (errors.TooLarge("m"), 413, "PayloadTooLarge"),
    (errors.IdempotencyKeyReused("m"), 422, "IdempotencyKeyReused"),
    (errors.NotFound("m"), 404, "NotFound"),
    (errors.Forbidden("m"), 403, "Forbidden"),
    (errors.PaymentRequired("m"), 402, "PaymentRequired"),
    (errors.Conflict("m"), 409, "Conflict"),
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
        answer = call("GET", ERRORS)
        assert answer.error == (status, code)
        assert answer.body["message"] == "m"

    def test_every_kind_has_one(self) -> None:
        kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AinexusError)}
        assert kinds - {AinexusError} <= {type(error) for error, _, _ in CASES}

    def test_what_is_not_ours_says_nothing_of_itself(self, call: Client, service: Service) -> None:
        service.raises = RuntimeError("TENANT#acme#RUNS is broken")
        answer = call("GET", ERRORS)
        assert answer.error == (500, "InternalError")
        assert "RUNS" not in str(answer.body)
        assert "RuntimeError" not in str(answer.body)

    def test_says_when_a_limit_renews(self, call: Client, service: Service) -> None:
        service.raises = errors.LimitReached("m", resets_at=datetime(2026, 12, 1, tzinfo=UTC))
        answer = call("GET", ERRORS)
        assert answer.body["resets_at"] == "2026-12-01T00:00:00.000Z"
        assert "Retry-After" not in answer.headers

    def test_says_when_to_try_again(self, call: Client, service: Service) -> None:
        service.raises = errors.DependencyUnavailable("m", retry_after_s=1)
        assert call("GET", ERRORS).headers["Retry-After"] == "1"

    def test_says_what_is_wrong_where(self) -> None:
        error = errors.InvalidRequest("m", [Detail("config.model", "is unknown")])
        status, body, _ = error_answer(error, request_id="r")
        assert (status, body["details"]) == (422, [{"field": "config.model", "message": "is unknown"}])


class TestAnswer:
    def test_carries_its_request_id_in_body_and_header(self, call: Client) -> None:
        answer = call("GET", OPEN, anonymous=True)
        assert answer.body["requestId"] == answer.headers["X-Request-Id"] == REQUEST_ID

    def test_of_a_creation_says_where_it_is(self, call: Client) -> None:
        answer = call("POST", body={"name": "fourth"})
        assert (answer.status, answer.headers["Location"]) == (201, "/v1/tenants/acme/things/3")
        assert answer.headers["ETag"] == '"1"'

    def test_shows_what_is_not_set_as_null(self, call: Client) -> None:
        assert call("GET", THING, thing_id="0").body["thing"] == {"thing_id": "0", "name": "first", "comment": None}

    def test_of_nothing_has_no_body(self, call: Client) -> None:
        answer = call("PUT", THING, thing_id="0", body={"name": "changed"})
        assert (answer.status, answer.body) == (204, None)


class TestIfMatch:
    @pytest.mark.parametrize("tag", ['"1"', "*", '"0", "1"', None])
    def test_the_version_that_is_there_passes(self, call: Client, tag: str | None) -> None:
        headers = {"If-Match": tag} if tag else {}
        assert call("PUT", THING, thing_id="0", body={"name": "x"}, headers=headers).status == 204

    @pytest.mark.parametrize("tag", ['"2"', "1", 'W/"1"', ""])
    def test_another_one_is_412(self, call: Client, service: Service, tag: str) -> None:
        answer = call("PUT", THING, thing_id="0", body={"name": "x"}, headers={"If-Match": tag})
        assert answer.error == (412, "PreconditionFailed")
        assert service.made[0] == "first"


class TestCors:
    def test_a_listed_origin_may_read(self, call: Client) -> None:
        headers = call(headers={"Origin": ORIGIN}).headers
        assert headers["Access-Control-Allow-Origin"] == ORIGIN
        assert headers["Access-Control-Expose-Headers"] == EXPOSED_HEADERS
        assert headers["Vary"] == "Origin"

    def test_of_an_error_too(self, call: Client) -> None:
        assert call(anonymous=True, headers={"origin": ORIGIN}).headers["Access-Control-Allow-Origin"] == ORIGIN

    @pytest.mark.parametrize("origin", ["https://evil.example", f"{ORIGIN}.evil.example", "null", None])
    def test_no_other_may(self, call: Client, origin: str | None) -> None:
        headers = call(headers={"Origin": origin} if origin else {}).headers
        assert not [name for name in headers if name.startswith("Access-Control")]
        assert headers["Vary"] == "Origin"

    def test_without_a_list_nobody_may(self, call: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CORS_ORIGINS")
        assert "Access-Control-Allow-Origin" not in call(headers={"Origin": ORIGIN}).headers


def test_routes_are_those_that_were_registered(call: Client) -> None:
    assert [(route.method, route.path) for route in call.app.routes] == [
        ("GET", OPEN),
        ("GET", THINGS),
        ("GET", THING),
        ("GET", ERRORS),
        ("POST", THINGS),
        ("PUT", THING),
    ]
