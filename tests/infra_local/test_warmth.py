"""Functions are started one after another."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from infra.local.warmth import functions_of, invoke_without_work, warm


@dataclass
class _Functions:
    names: list[str]
    invoked: list[str] = field(default_factory=list[str])
    failing: frozenset[str] = frozenset()

    def get_paginator(self, operation: str) -> "_Functions":
        assert operation == "list_functions"
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        return ({"Functions": [{"FunctionName": name}]} for name in self.names)

    def invoke(self, *, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803 — boto3's names
        assert Payload
        self.invoked.append(FunctionName)
        failed = {"FunctionError": "Unhandled"} if FunctionName in self.failing else {}
        return {"Payload": BytesIO(b'{"errorMessage": "no such module"}'), **failed}


class TestWarm:
    def test_invokes_each_function_of_the_environment_once(self) -> None:
        fake: Any = _Functions(["ainexus-local-runs-api", "ainexus-dev-api", "other", "ainexus-local-api"])
        assert functions_of(fake, "local") == ["ainexus-local-api", "ainexus-local-runs-api"]
        assert warm(fake, "local") == 2
        assert fake.invoked == ["ainexus-local-api", "ainexus-local-runs-api"]


class TestInvokeWithoutWork:
    def test_reports_the_error_of_a_function_that_failed(self) -> None:
        fake: Any = _Functions([], failing=frozenset({"broken"}))
        assert invoke_without_work(fake, "well") is None
        assert invoke_without_work(fake, "broken") == '{"errorMessage": "no such module"}'
