"""Requests with an `Idempotency-Key` over HTTP."""

from collections.abc import Iterator

import pytest

from shared.tenancy.permissions import Role
from tests import tables
from tests.gateway import claims
from tests.shared.http.conftest import Client
from tests.shared.http.sample_service import SLICE, THING, Service

KEY = {"Idempotency-Key": "key-1"}
BODY = {"name": "fourth"}


@pytest.fixture(autouse=True)
def _records(service: Service) -> Iterator[None]:
    with tables.store(SLICE) as store:
        service.store = store
        yield


class TestReplay:
    def test_returns_the_first_response(self, call: Client, service: Service) -> None:
        first, second = call("POST", body=BODY, headers=KEY), call("POST", body=BODY, headers=KEY)
        assert (first.status, first.body, first.headers["Location"], first.headers["ETag"]) == (
            second.status,
            second.body,
            second.headers["Location"],
            second.headers["ETag"],
        )
        assert service.thing_names.count("fourth") == 1

    def test_has_the_replayed_header(self, call: Client) -> None:
        first, second = call("POST", body=BODY, headers=KEY), call("POST", body=BODY, headers=KEY)
        assert "Idempotent-Replayed" not in first.headers
        assert second.headers["Idempotent-Replayed"] == "true"
        assert "X-Request-Id" in second.headers

    def test_of_another_body_returns_422(self, call: Client) -> None:
        call("POST", body=BODY, headers=KEY)
        response = call("POST", body={"name": "fifth"}, headers=KEY)
        assert response.error == (422, "IdempotencyKeyReused")

    def test_is_separate_for_each_user(self, call: Client, service: Service) -> None:
        call("POST", body=BODY, headers=KEY)
        call("POST", body=BODY, headers=KEY, token=claims("acme", role=Role.DEVELOPER) | {"principal": "user:another"})
        assert service.thing_names.count("fourth") == 2

    def test_requires_a_key(self, call: Client, service: Service) -> None:
        call("POST", body=BODY)
        call("POST", body=BODY)
        assert service.thing_names.count("fourth") == 2

    def test_does_not_repeat_a_failure(self, call: Client, service: Service) -> None:
        assert call("POST", body={"name": 5}, headers=KEY).status == 422
        assert call("POST", body=BODY, headers=KEY).status == 201
        assert service.thing_names.count("fourth") == 1

    def test_is_not_supported_by_every_route(self, call: Client) -> None:
        for _ in range(2):
            assert call("PUT", THING, thing_id="0", body=BODY, headers=KEY).status == 204

    def test_is_refused_for_a_suspended_tenant(self, call: Client, service: Service) -> None:
        call("POST", body=BODY, headers=KEY)
        service.status = "suspended"
        assert call("POST", body=BODY, headers=KEY).status == 403


@pytest.mark.report(23)
class TestKey:
    @pytest.mark.parametrize("key", ["", " ", "k" * 256, "k" * 5_000], ids=len)
    def test_that_is_empty_or_over_255_characters_returns_400(self, call: Client, service: Service, key: str) -> None:
        response = call("POST", body=BODY, headers={"Idempotency-Key": key})
        assert response.error == (400, "BadRequest")
        assert response.body["message"] == "The Idempotency-Key must have 1 to 255 characters."
        assert "fourth" not in service.thing_names

    @pytest.mark.parametrize("key", ["k", "k" * 255], ids=len)
    def test_of_up_to_255_characters_is_used(self, call: Client, service: Service, key: str) -> None:
        for _ in range(2):
            assert call("POST", body=BODY, headers={"Idempotency-Key": key}).status == 201
        assert service.thing_names.count("fourth") == 1

    def test_is_not_read_by_a_route_that_takes_none(self, call: Client) -> None:
        assert call("PUT", THING, thing_id="0", body=BODY, headers={"Idempotency-Key": ""}).status == 204
