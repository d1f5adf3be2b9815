"""The rules of users."""

from datetime import UTC, datetime, timedelta

import pytest

from services.tenants.errors import UserNotActive
from services.tenants.users import domain
from services.tenants.users.domain import InvalidAddress, Invitation, User, UserChange, UserStatus
from shared.tenancy.permissions import Role

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


@pytest.mark.report(24)
class TestAddress:
    @pytest.mark.parametrize(
        ("text", "normal"),
        [
            (" A@ACME.com ", "a@acme.com"),
            ("jose\u0301@acme.com", "jos\xe9@acme.com"),
            ("JOS\xc9@acme.com", "jos\xe9@acme.com"),
            ("a@\uff41cme.com", "a@acme.com"),
            ("a@B\xfccher.de", "a@xn--bcher-kva.de"),
            ("a@bu\u0308cher.de", "a@xn--bcher-kva.de"),
            ("a@xn--bcher-kva.de", "a@xn--bcher-kva.de"),
            ("a+tag@acme.com", "a+tag@acme.com"),
        ],
        ids=ascii,
    )
    def test_has_one_form(self, text: str, normal: str) -> None:
        assert domain.normalize_address(text) == normal
        assert domain.normalize_address(normal) == normal

    @pytest.mark.parametrize(
        "text",
        [
            *("a\u202eb@acme.com", "a@acme\u202e.com", "a\u200bb@acme.com", "\ufeffa@acme.com", "a\0@acme.com"),
            *("\u0130@acme.com", "\uff41dmin@acme.com", "\u017f@acme.com", "a\n@acme.com", "a@acme.com\n"),
            *("", "a", "a@", "@acme.com", "a@localhost", "a b@acme.com", "a..b@acme.com", "a@acme..com", "a@[1.2.3.4]"),
        ],
        ids=ascii,
    )
    def test_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidAddress):
            domain.normalize_address(text)


class TestUser:
    def invited(self) -> User:
        asked = Invitation("a@b.com", Role.TENANT_ADMIN, None, NOW)
        return domain.invite_user("acme", asked, user_id="8f1c", username="8f1c", now=NOW)[0]

    def test_events_contain_no_personal_data(self) -> None:
        asked = Invitation("a@b.com", Role.DEVELOPER, None, NOW)
        user, invited = domain.invite_user("acme", asked, user_id="8f1c", username="8f1c", now=NOW)
        changed, payload = domain.change_user("acme", user, UserChange(role=Role.ANALYST), now=LATER)
        _, removed = domain.remove_user("acme", changed, now=LATER)
        assert [event.id for event in (invited, payload, removed)] == [
            "8f1c:invited",
            "8f1c:2:role_changed",
            "8f1c:3:removed",
        ]
        assert not any("a@b.com" in event.model_dump_json() for event in (invited, payload, removed))

    def test_changes_features_only_if_given(self) -> None:
        user, _ = domain.change_user(
            "acme", self.invited(), UserChange(features=("agents",), sets_features=True), now=NOW
        )
        assert domain.change_user("acme", user, UserChange(role=Role.ANALYST), now=NOW)[0].features == ("agents",)
        assert domain.change_user("acme", user, UserChange(sets_features=True), now=NOW)[0].features is None

    def test_disabled_user_is_no_active_admin_and_cannot_be_changed(self) -> None:
        disabled, _ = domain.disable_user("acme", self.invited(), now=LATER)
        assert (disabled.status, disabled.is_active_admin) == (UserStatus.DISABLED, False)
        with pytest.raises(UserNotActive):
            domain.change_user("acme", disabled, UserChange(role=Role.ANALYST), now=LATER)
        with pytest.raises(UserNotActive):
            domain.disable_user("acme", disabled, now=LATER)
        assert domain.remove_user("acme", disabled, now=LATER)[0].status is UserStatus.REMOVING
