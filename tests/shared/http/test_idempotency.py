"""`Idempotency-Key` over HTTP."""

from collections.abc import Iterator

import pytest

from shared.tenancy.permissions import Role
from tests import tables
from tests.gateway import claims
from tests.shared.http.conftest import Client
from tests.shared.http.things import SLICE, THING, Service

KEY = {"Idempotency-Key": "key-1"}
BODY = {"name": "fourth"}


@pytest.fixture(autouse=True)
def _records(service: Service) -> Iterator[None]:
    with tables.store(SLICE) as store:
        service.store = store
        yield


class TestReplay:
    def test_the_second_is_answered_as_the_first(self, call: Client, service: Service) -> None:
        first, second = call("POST", body=BODY, headers=KEY), call("POST", body=BODY, headers=KEY)
        assert (first.status, first.body, first.headers["Location"], first.headers["ETag"]) == (
            second.status,
            second.body,
            second.headers["Location"],
            second.headers["ETag"],
        )
        assert service.made.count("fourth") == 1

    def test_and_says_so(self, call: Client) -> None:
        first, second = call("POST", body=BODY, headers=KEY), call("POST", body=BODY, headers=KEY)
        assert "Idempotent-Replayed" not in first.headers
        assert second.headers["Idempotent-Replayed"] == "true"
        assert "X-Request-Id" in second.headers

    def test_another_body_is_422(self, call: Client) -> None:
        call("POST", body=BODY, headers=KEY)
        answer = call("POST", body={"name": "fifth"}, headers=KEY)
        assert answer.error == (422, "IdempotencyKeyReused")

    def test_another_user_has_its_own_keys(self, call: Client, service: Service) -> None:
        call("POST", body=BODY, headers=KEY)
        call("POST", body=BODY, headers=KEY, token=claims("acme", role=Role.DEVELOPER) | {"sub": "another"})
        assert service.made.count("fourth") == 2

    def test_without_a_key_it_is_done_twice(self, call: Client, service: Service) -> None:
        call("POST", body=BODY)
        call("POST", body=BODY)
        assert service.made.count("fourth") == 2

    def test_what_failed_is_tried_again(self, call: Client, service: Service) -> None:
        assert call("POST", body={"name": 5}, headers=KEY).status == 422
        assert call("POST", body=BODY, headers=KEY).status == 201
        assert service.made.count("fourth") == 1

    def test_a_route_without_replay_ignores_it(self, call: Client) -> None:
        for _ in range(2):
            assert call("PUT", THING, thing_id="0", body=BODY, headers=KEY).status == 204

    def test_a_suspended_tenant_gets_no_replay(self, call: Client, service: Service) -> None:
        call("POST", body=BODY, headers=KEY)
        service.status = "suspended"
        assert call("POST", body=BODY, headers=KEY).status == 403
