"""What is said of a request that is not valid."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway import claims
from tests.shared.http.conftest import Client
from tests.shared.http.things import THING, Service

VALID = {"name": "fourth"}


class TestBody:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"name": "x", "unknown": 1}, "unknown"),
            ({}, "name"),
            ({"name": 5}, "name"),
            ({"name": ""}, "name"),
            ({"name": None}, "name"),
            ({"name": "x", "part": {"size": "1"}}, "part.size"),
            ({"name": "x", "part": {"size": 1, "colour": "red"}}, "part.colour"),
            ([], "body"),
            ("null", "body"),
            ("5", "body"),
        ],
        ids=str,
    )
    def test_that_breaks_the_schema_is_422_and_says_where(
        self, call: Client, service: Service, body: object, field: str
    ) -> None:
        answer = call("POST", body=body)
        assert answer.error == (422, "ValidationFailed")
        assert [detail["field"] for detail in answer.body["details"]] == [field]
        assert len(service.made) == 3

    @pytest.mark.parametrize("body", ["{", "name=x", "{'name': 'x'}", '{"name": "x"}}'])
    def test_that_is_no_json_is_400(self, call: Client, body: str) -> None:
        answer = call("POST", body=body)
        assert answer.error == (400, "BadRequest")
        assert "details" not in answer.body

    @pytest.mark.parametrize("body", ['{"part": {"size": 1e400}}', '{"name": -1e999}', '{"name": NaN}'])
    def test_with_a_number_that_is_none_is_400(self, call: Client, body: str) -> None:
        assert call("POST", body=body).error == (400, "BadRequest")

    @pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
    def test_of_another_media_type_is_400_in_our_shape(self, call: Client, media_type: str) -> None:
        assert call("POST", body=VALID, headers={"content-type": media_type}).error == (400, "BadRequest")

    @pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8"])
    def test_of_ours_is_taken(self, call: Client, media_type: str) -> None:
        assert call("POST", body=VALID, headers={"content-type": media_type}).status == 201

    @pytest.mark.parametrize("body", [None, ""])
    def test_that_is_missing_is_refused(self, call: Client, body: str | None) -> None:
        assert call("POST", body=body).status in {400, 422}

    def test_is_never_told_back(self, call: Client) -> None:
        answer = call("POST", body={"name": ["secret-of-mine"]})
        assert "secret-of-mine" not in str(answer.body)

    @pytest.mark.parametrize(("length", "status"), [(1024 * 1024, 422), (1024 * 1024 + 1, 413)])
    def test_over_1_mib_is_413(self, call: Client, length: int, status: int) -> None:
        shell = '{"name":""}'
        body = '{"name":"' + "x" * (length - len(shell)) + '"}'
        assert call("POST", body=body).status == status

    def test_is_measured_in_bytes(self, call: Client) -> None:
        assert call("POST", body='{"name":"' + "é" * 600_000 + '"}').error == (413, "PayloadTooLarge")

    @pytest.mark.parametrize(
        "body", ["[" * 20_000, '{"name":' + "[" * 500_000, f'{{"name":{"[" * 5_000}{"]" * 5_000}}}']
    )
    def test_that_is_too_deep_is_refused_like_any_other(self, call: Client, body: str) -> None:
        assert call("POST", body=body).status in {400, 422}

    @pytest.mark.parametrize("levels", [64, 250, 400])
    def test_nested_deeper_than_64_levels_is_422(self, call: Client, levels: int) -> None:
        answer = call("POST", body='{"name":' + "[" * levels + "]" * levels + "}")
        assert answer.error == (422, "ValidationFailed")
        assert answer.body["details"] == [{"field": "body", "message": "is nested deeper than 64 levels"}]

    def test_of_64_levels_is_judged_by_its_schema(self, call: Client) -> None:
        answer = call("POST", body='{"name":' + "[" * 63 + "]" * 63 + "}")
        assert [detail["field"] for detail in answer.body["details"]] == ["name"]

    @pytest.mark.parametrize("body", ['{"name": "\ud800"}', '{"name": "' + "\ud800" * 400_000 + '"}'])
    def test_that_is_not_unicode_is_refused(self, call: Client, body: str) -> None:
        assert call("POST", body=body).status in {400, 413}

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
    @given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5) | st.text())
    def test_whatever_it_is_the_answer_is_ours(self, call: Client, body: Any) -> None:  # noqa: ANN401 — any JSON
        assert call("POST", body=body).status in {201, 400, 422}


class TestQuery:
    def test_an_unknown_parameter_is_422(self, call: Client) -> None:
        answer = call(query={"colour": "red", "limit": "5"})
        assert answer.error == (422, "ValidationFailed")
        assert [detail["field"] for detail in answer.body["details"]] == ["colour"]

    def test_a_parameter_of_a_route_that_takes_none_is_422(self, call: Client) -> None:
        assert call("GET", THING, thing_id="0", query={"limit": "5"}).error == (422, "ValidationFailed")

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", "", "\u0661"])
    def test_a_bad_limit_is_422(self, call: Client, limit: str) -> None:
        answer = call(query={"limit": limit})
        assert answer.error == (422, "ValidationFailed")
        assert [detail["field"] for detail in answer.body["details"]] == ["limit"]

    @pytest.mark.parametrize("limit", ["1", "100"])
    def test_a_good_one_is_taken(self, call: Client, limit: str) -> None:
        assert call(query={"limit": limit}).status == 200

    def test_a_parameter_goes_by_its_name_on_the_wire(self, call: Client) -> None:
        assert call(query={"from": "2026"}).status == 200
        assert call(query={"start": "2026"}).error == (422, "ValidationFailed")


def test_a_token_of_the_wrong_kind_comes_before_everything(call: Client) -> None:
    assert call("POST", token=claims("acme") | {"token_use": "access"}, body="{").status == 401
