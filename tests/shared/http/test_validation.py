"""The errors of invalid requests."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway import claims
from tests.shared.http.conftest import Client
from tests.shared.http.sample_service import THING, Service

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
    def test_that_violates_the_schema_returns_422_with_the_field(
        self, call: Client, service: Service, body: object, field: str
    ) -> None:
        response = call("POST", body=body)
        assert response.error == (422, "ValidationFailed")
        assert [detail["field"] for detail in response.body["details"]] == [field]
        assert len(service.thing_names) == 3

    @pytest.mark.parametrize("body", ["{", "name=x", "{'name': 'x'}", '{"name": "x"}}'])
    def test_that_is_not_json_returns_400(self, call: Client, body: str) -> None:
        response = call("POST", body=body)
        assert response.error == (400, "BadRequest")
        assert "details" not in response.body

    @pytest.mark.parametrize("body", ['{"part": {"size": 1e400}}', '{"name": -1e999}', '{"name": NaN}'])
    def test_with_a_number_that_is_not_finite_returns_400(self, call: Client, body: str) -> None:
        assert call("POST", body=body).error == (400, "BadRequest")

    @pytest.mark.report(22)
    @pytest.mark.parametrize(
        "media_type",
        [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "application/vnd.api+json",
            "multipart/form-data; boundary=x",
            "application/merge-patch+json",
        ],
    )
    def test_of_another_media_type_returns_415(self, call: Client, media_type: str) -> None:
        response = call("POST", body=VALID, headers={"content-type": media_type})
        assert response.error == (415, "UnsupportedMediaType")
        assert response.body["message"] == "Send the body as application/json."

    @pytest.mark.report(22)
    @pytest.mark.parametrize(
        "media_type",
        ["application/json", "application/json; charset=utf-8", "Application/JSON", "APPLICATION/JSON ;charset=UTF-8"],
    )
    def test_of_type_json_is_accepted(self, call: Client, media_type: str) -> None:
        assert call("POST", body=VALID, headers={"content-type": media_type}).status == 201

    @pytest.mark.report(22)
    @pytest.mark.parametrize("name", ["content-type", "Content-Type"])
    @pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/Merge-Patch+JSON; v=1"])
    def test_of_a_change_may_be_a_merge_patch(self, call: Client, name: str, media_type: str) -> None:
        assert call("PUT", THING, thing_id="0", body=VALID, headers={name: media_type}).status == 204

    @pytest.mark.parametrize("body", [None, ""])
    def test_that_is_missing_is_refused(self, call: Client, body: str | None) -> None:
        assert call("POST", body=body).status in {400, 422}

    def test_is_not_repeated_in_the_error(self, call: Client) -> None:
        response = call("POST", body={"name": ["secret-of-mine"]})
        assert "secret-of-mine" not in str(response.body)

    @pytest.mark.parametrize(("length", "status"), [(1024 * 1024, 422), (1024 * 1024 + 1, 413)])
    def test_over_1_mib_returns_413(self, call: Client, length: int, status: int) -> None:
        envelope = '{"name":""}'
        body = '{"name":"' + "x" * (length - len(envelope)) + '"}'
        assert call("POST", body=body).status == status

    def test_is_measured_in_bytes(self, call: Client) -> None:
        assert call("POST", body='{"name":"' + "é" * 600_000 + '"}').error == (413, "PayloadTooLarge")

    @pytest.mark.parametrize(
        "body", ["[" * 20_000, '{"name":' + "[" * 500_000, f'{{"name":{"[" * 5_000}{"]" * 5_000}}}']
    )
    def test_with_extreme_nesting_is_refused(self, call: Client, body: str) -> None:
        assert call("POST", body=body).status in {400, 422}

    @pytest.mark.parametrize("levels", [64, 250, 400])
    def test_nested_deeper_than_64_levels_returns_422(self, call: Client, levels: int) -> None:
        response = call("POST", body='{"name":' + "[" * levels + "]" * levels + "}")
        assert response.error == (422, "ValidationFailed")
        assert response.body["details"] == [{"field": "body", "message": "is nested deeper than 64 levels"}]

    def test_of_64_levels_is_validated_by_its_schema(self, call: Client) -> None:
        response = call("POST", body='{"name":' + "[" * 63 + "]" * 63 + "}")
        assert [detail["field"] for detail in response.body["details"]] == ["name"]

    @pytest.mark.parametrize("body", ['{"name": "\ud800"}', '{"name": "' + "\ud800" * 400_000 + '"}'])
    def test_that_is_not_unicode_is_refused(self, call: Client, body: str) -> None:
        assert call("POST", body=body).status in {400, 413}

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
    @given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5) | st.text())
    def test_of_any_content_returns_a_documented_status(self, call: Client, body: Any) -> None:  # noqa: ANN401 — any JSON
        assert call("POST", body=body).status in {201, 400, 422}


class TestQuery:
    def test_with_an_unknown_parameter_returns_422(self, call: Client) -> None:
        response = call(query={"colour": "red", "limit": "5"})
        assert response.error == (422, "ValidationFailed")
        assert [detail["field"] for detail in response.body["details"]] == ["colour"]

    def test_of_a_route_without_parameters_returns_422(self, call: Client) -> None:
        assert call("GET", THING, thing_id="0", query={"limit": "5"}).error == (422, "ValidationFailed")

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", "", "\u0661"])
    def test_with_an_invalid_limit_returns_422(self, call: Client, limit: str) -> None:
        response = call(query={"limit": limit})
        assert response.error == (422, "ValidationFailed")
        assert [detail["field"] for detail in response.body["details"]] == ["limit"]

    @pytest.mark.parametrize("limit", ["1", "100"])
    def test_with_a_valid_limit_is_accepted(self, call: Client, limit: str) -> None:
        assert call(query={"limit": limit}).status == 200

    def test_parameter_is_read_by_its_alias(self, call: Client) -> None:
        assert call(query={"from": "2026"}).status == 200
        assert call(query={"start": "2026"}).error == (422, "ValidationFailed")


def test_token_is_checked_before_the_body(call: Client) -> None:
    assert call("POST", token=claims("acme") | {"role": ""}, body="{").status == 401
