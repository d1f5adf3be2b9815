"""Page tokens are good for one list alone."""

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.http.pagination import page_after, place_of
from tests.gateway import claims
from tests.shared.http.conftest import Client

SCOPE = ("acme", "things", "")
ANY = r"(?s:.*)"


def token(place: str, *scope: str) -> str:
    found = page_after(place, *scope).nextToken
    assert found is not None
    return found


class TestPlaceOf:
    @given(st.text())
    def test_a_place_comes_back(self, place: str) -> None:
        assert place_of(token(place, *SCOPE), *SCOPE, form=ANY) == place

    def test_no_token_is_the_beginning(self) -> None:
        assert place_of(None, *SCOPE, form=ANY) is None

    @pytest.mark.parametrize(
        "scope", [("other", "things", ""), ("acme", "others", ""), ("acme", "things", "red"), ("acmethings", "", "")]
    )
    def test_one_of_another_tenant_list_or_filter_is_refused(self, scope: tuple[str, ...]) -> None:
        with pytest.raises(Malformed):
            place_of(token("1", *scope), *SCOPE, form=ANY)

    @given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")))
    def test_garbage_is_refused(self, garbage: str) -> None:
        with pytest.raises(Malformed):
            place_of(garbage, *SCOPE, form=ANY)

    @given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=6))
    def test_any_json_that_is_no_token_is_refused(self, document: object) -> None:
        text = base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
        with pytest.raises(Malformed):
            place_of(text, *SCOPE, form=ANY)

    def test_one_that_is_too_deep_is_refused(self) -> None:
        with pytest.raises(Malformed):
            place_of(base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("="), *SCOPE, form=ANY)

    @pytest.mark.parametrize("place", ["", "x", "-1", "12\n", "\u0663", "12345678"])
    def test_a_place_of_another_form_is_refused(self, place: str) -> None:
        with pytest.raises(Malformed):
            place_of(token(place, *SCOPE), *SCOPE, form="[0-9]{1,7}")

    def test_says_nothing_of_a_key(self) -> None:
        decoded = base64.urlsafe_b64decode(token("prj_1", *SCOPE) + "==").decode()
        assert "acme" not in decoded
        assert "TENANT" not in decoded


class TestList:
    def test_goes_on_where_the_page_ended(self, call: Client) -> None:
        first = call(query={"limit": "2"}).body
        assert first["pagination"]["hasMore"] is True
        second = call(query={"limit": "2", "next_token": first["pagination"]["nextToken"]}).body
        assert [thing["name"] for thing in first["things"] + second["things"]] == ["first", "second", "third"]
        assert second["pagination"] == {"nextToken": None, "hasMore": False}

    def test_takes_the_token_as_the_answer_spells_it(self, call: Client) -> None:
        page = call(query={"limit": "2"}).body["pagination"]
        answer = call(query={"limit": "2", "nextToken": page["nextToken"]})
        assert [thing["name"] for thing in answer.body["things"]] == ["third"]

    def test_a_token_of_another_filter_is_400(self, call: Client) -> None:
        page = call(query={"limit": "2"}).body["pagination"]
        answer = call(query={"next_token": page["nextToken"], "kind": "red"})
        assert answer.error == (400, "BadRequest")

    def test_a_token_of_another_tenant_is_400(self, call: Client) -> None:
        page = call(query={"limit": "2"}).body["pagination"]
        answer = call(tenant_id="other", token=claims("other"), query={"next_token": page["nextToken"]})
        assert answer.error == (400, "BadRequest")

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
    @given(st.text(min_size=1))
    def test_garbage_is_400(self, call: Client, garbage: str) -> None:
        assert call(query={"next_token": garbage}).error == (400, "BadRequest")
