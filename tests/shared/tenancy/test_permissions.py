"""Inclusion of roles, and intersection of features."""

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
    def test_includes_itself_and_lower_roles(self, role: Role, includes: set[Role]) -> None:
        assert {min_role for min_role in Role if role.includes(min_role)} == includes


class TestEffectiveFeatures:
    @given(NAMES, NAMES)
    def test_are_the_intersection(self, granted: tuple[str, ...], enabled: tuple[str, ...]) -> None:
        both = {feature for feature in Feature if feature in granted and feature in enabled}
        assert effective_features(granted, enabled) == both

    @given(NAMES)
    def test_of_a_token_without_the_claim_are_those_of_the_tenant(self, enabled: tuple[str, ...]) -> None:
        assert effective_features(None, enabled) == effective_features((ALL_FEATURES,), enabled)

    @given(NAMES)
    def test_of_a_tenant_with_all_are_those_of_the_token(self, granted: tuple[str, ...]) -> None:
        assert effective_features(granted, (ALL_FEATURES,)) == {name for name in Feature if name in granted}
