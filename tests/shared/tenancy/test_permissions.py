"""Roles include each other, features meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tenancy.permissions import ALL_FEATURES, Feature, Role, effective_features

NAMES = st.lists(st.sampled_from([*(feature.value for feature in Feature), "unknown", ""])).map(tuple)


class TestRole:
    @pytest.mark.parametrize(
        ("role", "includes"),
        [
            (Role.PLATFORM_ADMIN, set(Role)),
            (Role.TENANT_ADMIN, {Role.TENANT_ADMIN, Role.DEVELOPER, Role.ANALYST, Role.OBSERVER}),
            (Role.DEVELOPER, {Role.DEVELOPER, Role.ANALYST, Role.OBSERVER}),
            (Role.ANALYST, {Role.ANALYST, Role.OBSERVER}),
            (Role.OBSERVER, {Role.OBSERVER}),
        ],
    )
    def test_includes_itself_and_those_below(self, role: Role, includes: set[Role]) -> None:
        assert {least for least in Role if role.includes(least)} == includes


class TestEffectiveFeatures:
    @given(NAMES, NAMES)
    def test_are_those_that_both_have(self, granted: tuple[str, ...], enabled: tuple[str, ...]) -> None:
        both = {feature for feature in Feature if feature in granted and feature in enabled}
        assert effective_features(granted, enabled) == both

    @given(NAMES)
    def test_a_token_without_the_claim_has_all_of_the_tenants(self, enabled: tuple[str, ...]) -> None:
        assert effective_features(None, enabled) == effective_features((ALL_FEATURES,), enabled)

    @given(NAMES)
    def test_a_tenant_with_all_leaves_the_tokens(self, granted: tuple[str, ...]) -> None:
        assert effective_features(granted, (ALL_FEATURES,)) == {name for name in Feature if name in granted}
