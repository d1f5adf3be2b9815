"""API keys, as the authorizer reads what the tenants service has written."""

from datetime import UTC, datetime, timedelta

import pytest

from services.core.authorizer.operations import Callers
from services.tenants.api_keys import operations
from services.tenants.api_keys.domain import IssuedKey
from services.tenants.api_keys.table import ApiKeyTable
from services.tenants.tenants.operations import suspend_tenant
from shared.api_keys.secret import RANDOM_BYTES, new_secret
from shared.randomness import RANDOM
from shared.storage.store import Store
from shared.tenancy.claims import Claims, InvalidToken
from shared.tenancy.permissions import Role
from shared.times import utc_now
from tests.isolation.forged_keys import forged_keys
from tests.services.core.authorizer.conftest import ADMIN, Issue
from tests.services.tenants.acme import delete_acme

HOUR = timedelta(hours=1)


def rotate(keys: ApiKeyTable, issued: IssuedKey, *, overlap: timedelta, now: datetime) -> IssuedKey:
    secret = new_secret("test", RANDOM.randbytes(RANDOM_BYTES))
    return operations.rotate_key(keys, ADMIN, issued.key.api_key_id, secret=secret, overlap=overlap, now=now)


class TestIdentify:
    def test_returns_the_key_with_its_role_and_scopes(self, callers: Callers, issue: Issue) -> None:
        issued = issue(role=Role.ANALYST, scopes=("usage:read",))
        assert callers.identify(f"Bearer {issued.secret}", now=utc_now()) == Claims(
            f"key:{issued.key.api_key_id}", Role.ANALYST, "acme", scopes=frozenset({"usage:read"})
        )

    def test_refuses_keys_that_resemble_a_valid_one(self, callers: Callers, store: Store) -> None:
        for name, secret in forged_keys(store, "acme").items():
            with pytest.raises(InvalidToken):
                raise AssertionError(name, callers.identify(f"Bearer {secret}", now=utc_now()))

    def test_refuses_a_key_from_its_expiry_on(self, callers: Callers, issue: Issue) -> None:
        now = utc_now().replace(microsecond=0)
        issued = issue(ends=HOUR, now=now)
        claims = callers.identify(issued.secret, now=now + HOUR - timedelta(milliseconds=1))
        assert claims.expires_at == issued.key.expires_at
        with pytest.raises(InvalidToken):
            callers.identify(issued.secret, now=now + HOUR)

    def test_refuses_a_deleted_key(self, callers: Callers, issue: Issue, keys: ApiKeyTable) -> None:
        issued = issue()
        callers.identify(issued.secret, now=utc_now())
        operations.delete_key(keys, ADMIN, issued.key.api_key_id, if_match=None)
        with pytest.raises(InvalidToken):
            callers.identify(issued.secret, now=utc_now())

    def test_refuses_a_key_of_a_suspended_tenant(self, callers: Callers, issue: Issue, store: Store) -> None:
        issued = issue()
        suspend_tenant(store, "acme", reason="Because", abuse=False, now=utc_now())
        with pytest.raises(InvalidToken):
            callers.identify(issued.secret, now=utc_now())

    def test_refuses_a_key_of_a_deleted_tenant(self, callers: Callers, issue: Issue, store: Store) -> None:
        issued = issue()
        delete_acme(store)
        with pytest.raises(InvalidToken):
            callers.identify(issued.secret, now=utc_now())


class TestRotation:
    def test_keeps_both_secrets_for_the_overlap(self, callers: Callers, issue: Issue, keys: ApiKeyTable) -> None:
        now = utc_now()
        first = issue(now=now)
        second = rotate(keys, first, overlap=HOUR, now=now)
        for at in (now, now + HOUR - timedelta(seconds=1)):
            assert {callers.identify(one.secret, now=at).principal for one in (first, second)} == {
                f"key:{first.key.api_key_id}"
            }
        with pytest.raises(InvalidToken):
            callers.identify(first.secret, now=now + HOUR)
        assert callers.identify(second.secret, now=now + 24 * HOUR)

    def test_without_an_overlap_ends_the_previous_secret_at_once(
        self, callers: Callers, issue: Issue, keys: ApiKeyTable
    ) -> None:
        now = utc_now()
        first = issue(now=now)
        second = rotate(keys, first, overlap=timedelta(0), now=now)
        with pytest.raises(InvalidToken):
            callers.identify(first.secret, now=now)
        assert callers.identify(second.secret, now=now)

    def test_twice_keeps_the_last_two_secrets_only(self, callers: Callers, issue: Issue, keys: ApiKeyTable) -> None:
        now = utc_now()
        first = issue(now=now)
        second = rotate(keys, first, overlap=HOUR, now=now)
        third = rotate(keys, second, overlap=HOUR, now=now)
        assert len(keys.secrets(first.key.api_key_id)) == 2
        with pytest.raises(InvalidToken):
            callers.identify(first.secret, now=now)
        assert callers.identify(second.secret, now=now) == callers.identify(second.secret, now=now)
        assert callers.identify(third.secret, now=now)


class TestLastUse:
    def test_is_recorded_by_the_hour_and_never_set_back(
        self, callers: Callers, issue: Issue, keys: ApiKeyTable
    ) -> None:
        issued = issue()
        for now, expected in (
            (datetime(2026, 11, 30, 12, 10, tzinfo=UTC), datetime(2026, 11, 30, 12, tzinfo=UTC)),
            (datetime(2026, 11, 30, 12, 50, tzinfo=UTC), datetime(2026, 11, 30, 12, tzinfo=UTC)),
            (datetime(2026, 11, 30, 13, 1, tzinfo=UTC), datetime(2026, 11, 30, 13, tzinfo=UTC)),
            (datetime(2026, 11, 30, 12, 59, tzinfo=UTC), datetime(2026, 11, 30, 13, tzinfo=UTC)),
        ):
            callers.identify(issued.secret, now=now)
            [secret] = keys.secrets(issued.key.api_key_id)
            assert secret.last_used_at == expected
