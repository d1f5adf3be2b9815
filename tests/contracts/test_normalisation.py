"""Recordings are made stable."""

from datetime import UTC, datetime
from typing import Any

from tests.contracts.normalisation import Normaliser

BEGAN = datetime(2027, 3, 5, 14, 12, 30, tzinfo=UTC)
RUN, OTHER = "run_01KATM3XW8P5Q7E9R2T4Y6V1ZB", "run_01KATM3XW8P5Q7E9R2T4Y6V1ZC"


def normalised(recorded: Any) -> Any:  # noqa: ANN401 — any JSON
    return Normaliser(BEGAN).apply(recorded)


class TestIds:
    def test_equal_ids_remain_equal(self) -> None:
        first, second, again = normalised([RUN, OTHER, f"/runs/{RUN}"])
        assert first != second
        assert again == f"/runs/{first}"

    def test_do_not_depend_on_the_recording(self) -> None:
        assert normalised([RUN, OTHER]) == normalised([OTHER, RUN])

    def test_of_requests_are_replaced(self) -> None:
        [first, second] = normalised(["6f9619ff-8b86-4011-b42d-00c04fc964ff", "7f9619ff-8b86-4011-b42d-00c04fc964ff"])
        assert (first[-2:], second[-2:]) == ("01", "02")


class TestTimes:
    def test_of_the_recording_keep_their_order(self) -> None:
        times = ["2027-03-05T14:12:33.001Z", "2027-03-05T14:12:31.500Z"]
        assert normalised(times) == ["2026-11-24T09:30:01.000Z", "2026-11-24T09:30:00.000Z"]

    def test_others_move_by_whole_hours(self) -> None:
        times = ["2027-03-05T14:00:00.000Z", "2027-03-05T08:12:31.500Z"]
        assert normalised(times) == ["2026-11-24T09:00:00.000Z", "2026-11-24T03:00:00.000Z"]

    def test_in_identifiers_move_too(self) -> None:
        texts = ["acme:tokens_in:2027-03-05T14:0", "usage-2027-03-05-2027-03-06.csv"]
        assert normalised(texts) == ["acme:tokens_in:2026-11-24T09:0", "usage-2026-11-24-2026-11-25.csv"]

    def test_days_move_by_whole_days(self) -> None:
        days = ["2027-03-05", "2027-03-04", "2027-03-06T00:00:00.000Z", "2027-03"]
        assert normalised(days) == ["2026-11-24", "2026-11-23", "2026-11-25T00:00:00.000Z", "2026-11"]


class TestNumbers:
    def test_measured_ones_are_replaced(self) -> None:
        assert normalised({"compute_ms": 71, "p50_ms": 12, "tokens_in": 15}) == {
            "compute_ms": 64,
            "p50_ms": 640,
            "tokens_in": 15,
        }

    def test_of_nothing_remain_zero(self) -> None:
        assert normalised({"compute_ms": 0}) == {"compute_ms": 0}


def test_numbers_of_invoices_keep_their_last_part() -> None:
    assert normalised("4C3204BA-0002") == normalised("0A3204BB-0002") == "F47F477F-0002"


def test_names_are_replaced() -> None:
    normaliser = Normaliser(BEGAN, names={"acme-7f3a": "acme"})
    assert normaliser.apply({"url": "/v1/tenants/acme-7f3a"}) == {"url": "/v1/tenants/acme"}


def test_addresses_of_the_machine_are_replaced() -> None:
    url = "http://localhost:51234/_aws/execute-api/0a1b2c3d/local/v1/health"
    assert normalised(url) == "https://api.example.com/v1/health"
    assert normalised("http://localhost:51234/b/file.gz?X-Amz-Date=1&X-Amz-Signature=a") == (
        "https://api.example.com/b/file.gz?X-Amz-Signature=example"
    )
