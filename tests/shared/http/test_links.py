"""References that resolve below every prefix of the API."""

from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.links import link
from tests.gateway import REQUEST_ID
from tests.shared.http.conftest import Client

PREFIXES = (
    "https://api.example.com",
    "https://abc123.execute-api.eu-central-1.amazonaws.com/dev",
    "http://localhost:4566/_aws/execute-api/abc123/local",
)
PATHS = st.lists(st.text("abc:-_.~%20", min_size=1).filter(lambda part: part not in {".", ".."}), min_size=1).map(
    lambda parts: "/v1/" + "/".join(parts)
)


class TestLink:
    @pytest.mark.parametrize(
        ("base", "target", "reference"),
        [
            ("/v1/tenants/a/runs", "/v1/tenants/a/runs/run_1", "./runs/run_1"),
            ("/v1/tenants/a/runs/run_1/tool-outputs", "/v1/tenants/a/runs/run_1", "../run_1"),
            ("/v1/admin/usage/export", "/v1/admin/usage/export?from=2026-11-01", "./export?from=2026-11-01"),
            ("/v1/tenants/a/billing/invoices/in_1", "/v1/tenants/a/usage/events", "../../usage/events"),
        ],
    )
    def test_is_relative(self, base: str, target: str, reference: str) -> None:
        assert link(target, base=base) == reference

    @given(PATHS, PATHS, st.sampled_from(PREFIXES))
    def test_resolves_to_its_target(self, base: str, target: str, prefix: str) -> None:
        assert urljoin(prefix + base, link(target, base=base)) == prefix + target


@pytest.mark.parametrize("prefix", PREFIXES)
def test_location_resolves_against_the_requests_url(call: Client, prefix: str) -> None:
    response = call("POST", body={"name": "fourth"})
    assert response.body["requestId"] == REQUEST_ID
    location = response.raw_location
    assert urljoin(f"{prefix}/v1/tenants/acme/things", location) == f"{prefix}/v1/tenants/acme/things/3"
