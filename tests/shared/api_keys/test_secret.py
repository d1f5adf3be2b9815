"""The text of API keys."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api_keys.secret import RANDOM_BYTES, hash_of, is_well_formed, looks_like_key, new_secret, visible_prefix

RANDOM = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)
SECRET = new_secret("prod", bytes(range(RANDOM_BYTES)))


class TestNewSecret:
    def test_is_stable(self) -> None:
        # Keys in the field must stay valid: neither alphabet nor checksum may change.
        assert SECRET == "anx_prod_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0ZZ2FG"

    @given(RANDOM)
    def test_is_well_formed_and_of_one_length(self, random: bytes) -> None:
        secret = new_secret("prod", random)
        assert re.fullmatch("anx_prod_[0-9A-Za-z]{49}", secret)
        assert is_well_formed(secret, environment="prod")
        assert looks_like_key(secret)

    @given(RANDOM, RANDOM)
    def test_differs_for_different_random_bytes(self, one: bytes, other: bytes) -> None:
        assert (new_secret("prod", one) == new_secret("prod", other)) == (one == other)


class TestIsWellFormed:
    @given(RANDOM, st.integers(0, 57), st.sampled_from("0aZ_ é"))
    def test_refuses_a_changed_character(self, random: bytes, position: int, character: str) -> None:
        secret = new_secret("prod", random)
        changed = secret[:position] + character + secret[position + 1 :]
        assert is_well_formed(changed, environment="prod") == (changed == secret)

    @pytest.mark.parametrize("text", ["", "anx_", "anx_prod_", SECRET[:-1], f"{SECRET}0", f" {SECRET}", f"{SECRET}\n"])
    def test_refuses_another_form(self, text: str) -> None:
        assert not is_well_formed(text, environment="prod")

    def test_refuses_a_key_of_another_environment(self) -> None:
        assert not is_well_formed(SECRET, environment="dev")


def test_hash_and_prefix_reveal_no_more_than_they_should() -> None:
    assert re.fullmatch("[0-9a-f]{64}", hash_of(SECRET))
    assert SECRET.startswith(visible_prefix(SECRET))
    assert visible_prefix(SECRET) == "anx_prod_003aUl"
