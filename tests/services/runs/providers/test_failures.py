"""Mapping of provider errors: message, code and Retry-After."""

from datetime import UTC, datetime

import pytest

from services.runs.providers.gateway.failures import message_of, of_event, retry_after_s

NOW = datetime(2026, 11, 22, 23, 19, 5, tzinfo=UTC)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({}, None),
            ({"retry-after": "7"}, 7),
            ({"retry-after": "0"}, 0),
            ({"retry-after": "1.5"}, 1.5),
            ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
            ({"retry-after": "Sun, 22 Nov 2026 23:19:35 GMT"}, 30),
            ({"retry-after": "Sun, 22 Nov 2026 23:19:00 GMT"}, None),
            ({"retry-after": "-1"}, None),
            ({"retry-after": "nan"}, None),
            ({"retry-after": "inf"}, None),
            ({"retry-after": "1e9"}, None),
            ({"retry-after": "soon"}, None),
            ({"retry-after": ""}, None),
        ],
    )
    def test_ignores_implausible_values(self, headers: dict[str, str], seconds: float | None) -> None:
        assert retry_after_s(headers, now=NOW) == seconds


class TestMessage:
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({"error": {"message": "No."}}, "No."),
            ({"type": "error", "error": {"type": "x", "message": " No. "}}, "No."),
            ({"message": "No."}, "No."),
            ({"error": "No."}, "No."),
            ({"detail": "No."}, None),
            ({"error": {}}, None),
            ({"error": ["No."]}, None),
            ("<html>No.</html>", None),
            (None, None),
        ],
    )
    def test_is_the_providers_own(self, body: object, message: str | None) -> None:
        assert message_of(body) == message

    def test_is_truncated(self) -> None:
        assert message_of({"message": "x" * 10_000}) == "x" * 500


class TestEvent:
    @pytest.mark.parametrize(
        ("kind", "code", "retry"),
        [
            ("overloaded_error", "ProviderUnavailable", True),
            ("rate_limit_error", "ProviderRateLimited", True),
            ("throttlingException", "ProviderRateLimited", True),
            ("timeout_error", "ProviderTimeout", True),
            ("invalid_request_error", "ProviderRejected", False),
            ("authentication_error", "ProviderUnauthorized", False),
            (None, "ProviderUnavailable", True),
        ],
    )
    def test_maps_error_kinds_to_codes(self, kind: str | None, code: str, retry: bool) -> None:  # noqa: FBT001 — a parameter of pytest's
        failure = of_event(kind, {"message": "No."})
        assert (failure.code, failure.retry, failure.usage_known) == (code, retry, False)
