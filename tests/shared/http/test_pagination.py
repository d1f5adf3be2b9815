"""Page tokens are valid for one list only."""

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.http.pagination import cursor_of, page_after
from tests.gateway import claims
from tests.shared.http.conftest import Client

SCOPE = ("acme", "things", "")
ANY_POSITION = r"(?s:.*)"


def token(position: str, *scope: str) -> str:
    found = page_after(position, *scope).nextToken
    assert found is not None
    return found


class TestCursorOf:
    @given(st.text())
    def test_returns_the_position(self, position: str) -> None:
        assert cursor_of(token(position, *SCOPE), *SCOPE, form=ANY_POSITION) == position

    def test_returns_none_without_a_token(self) -> None:
        assert cursor_of(None, *SCOPE, form=ANY_POSITION) is None

    @pytest.mark.parametrize(
        "scope", [("other", "things", ""), ("acme", "others", ""), ("acme", "things", "red"), ("acmethings", "", "")]
    )
    def test_refuses_a_token_of_another_tenant_list_or_filter(self, scope: tuple[str, ...]) -> None:
        with pytest.raises(Malformed):
            cursor_of(token("1", *scope), *SCOPE, form=ANY_POSITION)

    @given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")))
    def test_refuses_garbage(self, garbage: str) -> None:
        with pytest.raises(Malformed):
            cursor_of(garbage, *SCOPE, form=ANY_POSITION)

    @given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=6))
    def test_refuses_json_that_is_not_a_token(self, document: object) -> None:
        text = base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
        with pytest.raises(Malformed):
            cursor_of(text, *SCOPE, form=ANY_POSITION)

    def test_refuses_deeply_nested_json(self) -> None:
        with pytest.raises(Malformed):
            cursor_of(base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("="), *SCOPE, form=ANY_POSITION)

    @pytest.mark.parametrize("position", ["", "x", "-1", "12\n", "\u0663", "12345678"])
    def test_refuses_a_position_of_another_form(self, position: str) -> None:
        with pytest.raises(Malformed):
            cursor_of(token(position, *SCOPE), *SCOPE, form="[0-9]{1,7}")

    def test_token_does_not_contain_keys(self) -> None:
        decoded = base64.urlsafe_b64decode(token("prj_1", *SCOPE) + "==").decode()
        assert "acme" not in decoded
        assert "TENANT" not in decoded


class TestList:
    def test_continues_after_the_first_page(self, call: Client) -> None:
        first = call(query={"limit": "2"}).body
        assert first["pagination"]["hasMore"] is True
        second = call(query={"limit": "2", "next_token": first["pagination"]["nextToken"]}).body
        assert [thing["name"] for thing in first["things"] + second["things"]] == ["first", "second", "third"]
        assert second["pagination"] == {"nextToken": None, "hasMore": False}

    def test_accepts_the_spelling_of_the_response(self, call: Client) -> None:
        page = call(query={"limit": "2"}).body["pagination"]
        response = call(query={"limit": "2", "nextToken": page["nextToken"]})
        assert [thing["name"] for thing in response.body["things"]] == ["third"]

    def test_refuses_a_token_of_another_filter(self, call: Client) -> None:
        page = call(query={"limit": "2"}).body["pagination"]
        response = call(query={"next_token": page["nextToken"], "kind": "red"})
        assert response.error == (400, "BadRequest")

    def test_refuses_a_token_of_another_tenant(self, call: Client) -> None:
        page = call(query={"limit": "2"}).body["pagination"]
        response = call(tenant_id="other", token=claims("other"), query={"next_token": page["nextToken"]})
        assert response.error == (400, "BadRequest")

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
    @given(st.text(min_size=1))
    def test_refuses_garbage(self, call: Client, garbage: str) -> None:
        assert call(query={"next_token": garbage}).error == (400, "BadRequest")
