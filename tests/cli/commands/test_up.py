"""The state in which `make up` leaves a mesh."""

import io
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli.commands.up import lines_of, prepare
from cli.target import Target

LOCAL = {"ApiEndpoint": "http://127.0.0.1:4566", "StripeEndpoint": "http://127.0.0.1:12111"}


@dataclass
class Functions:
    """The admin functions of a mesh, which create everything at their first call."""

    calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ResourceNotFoundException=LookupError))

    def invoke(self, **arguments: str) -> dict[str, Any]:
        """Return the response of a command."""
        service, command = arguments["FunctionName"], json.loads(arguments["Payload"])["command"]
        is_new = (service, command) not in self.calls
        self.calls.append((service, command))
        difference = "add" if is_new else "same"
        response: dict[str, Any] = {
            "seed": {
                "tenants": [{"tenant_id": "demo-org", "created": is_new}],
                "users": [{"email": "admin@demo-org.com", "role": "tenant_admin", "created": is_new}],
            },
            "setup": {"steps": [{"kind": "price", "name": "pro", "difference": difference, "detail": ""}]},
        }[command]
        return {"Payload": io.BytesIO(json.dumps(response).encode())}


@pytest.fixture(name="functions")
def make_functions() -> Functions:
    return Functions()


@pytest.fixture(name="target")
def make_target(functions: Functions) -> Target:
    names = SimpleNamespace(of="{}-{}".format)
    return cast("Target", SimpleNamespace(is_local=True, clients=SimpleNamespace(functions=functions), names=names))


@pytest.mark.report(27)
class TestPrepare:
    def test_creates_tenants_users_and_prices(self, target: Target, functions: Functions) -> None:
        created = prepare(target, LOCAL)
        assert functions.calls == [("tenants-commands", "seed"), ("billing-commands", "setup")]
        assert lines_of(created) == [
            "Created the tenants demo-org.",
            "Created the users admin@demo-org.com.",
            "Created the price list at the local Stripe.",
        ]

    def test_reports_nothing_the_second_time(self, target: Target) -> None:
        prepare(target, LOCAL)
        again = prepare(target, LOCAL)
        assert (again, lines_of(again)) == ({}, [])

    def test_leaves_another_stripe_alone(self, target: Target, functions: Functions) -> None:
        prepare(target, {"ApiEndpoint": LOCAL["ApiEndpoint"]})
        assert functions.calls == [("tenants-commands", "seed")]
