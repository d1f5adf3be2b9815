"""Passwords of new users."""

import string

from cli.password import new_password


class TestNewPassword:
    def test_has_a_character_of_each_kind(self) -> None:
        password = new_password()
        kinds = (string.ascii_uppercase, string.ascii_lowercase, string.digits, string.punctuation)
        assert all(set(password) & set(kind) for kind in kinds)
        assert len(password) >= 12

    def test_is_different_each_time(self) -> None:
        assert new_password() != new_password()
