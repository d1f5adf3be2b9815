"""The default tenants and users."""

import string

from cli.seed import lines_of, lines_of_adoption, new_password


class TestNewPassword:
    def test_has_a_letter_of_each_kind(self) -> None:
        password = new_password()
        kinds = (string.ascii_uppercase, string.ascii_lowercase, string.digits, string.punctuation)
        assert all(set(password) & set(kind) for kind in kinds)
        assert len(password) >= 12

    def test_is_another_one_each_time(self) -> None:
        assert new_password() != new_password()


class TestLinesOf:
    def test_says_what_was_there(self) -> None:
        seeded = {
            "tenants": [{"tenant_id": "demo-org", "created": False}],
            "users": [{"email": "a@b.c", "tenant_id": "demo-org", "role": "developer", "created": True}],
        }
        tenant, user = lines_of(seeded)
        assert tenant.split() == ["tenant", "demo-org", "was", "there"]
        assert user.endswith("developer, made")


class TestLinesOfAdoption:
    def test_says_what_was_announced_and_what_was_left(self) -> None:
        lines = lines_of_adoption({"tenants": ["made"], "users": ["a@made.com"], "left": {"x@none.com": "no tenant"}})
        assert [line.split()[:2] for line in lines] == [
            ["tenant", "made"],
            ["user", "a@made.com"],
            ["left", "x@none.com"],
        ]

    def test_says_so_when_there_was_nothing_to_do(self) -> None:
        assert lines_of_adoption({"tenants": [], "users": [], "left": {}}) == ["Everything is known already."]
