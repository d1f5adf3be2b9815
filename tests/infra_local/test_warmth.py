"""Functions are started one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from infra.local.warmth import functions_of, start, warm


@dataclass
class _Functions:
    names: list[str]
    invoked: list[str] = field(default_factory=list[str])
    broken: frozenset[str] = frozenset()

    def get_paginator(self, operation: str) -> "_Functions":
        assert operation == "list_functions"
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        return ({"Functions": [{"FunctionName": name}]} for name in self.names)

    def invoke(self, *, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803 — boto3's names
        assert Payload
        self.invoked.append(FunctionName)
        failed = {"FunctionError": "Unhandled"} if FunctionName in self.broken else {}
        return {"Payload": BytesIO(b'{"errorMessage": "no such module"}'), **failed}


class TestWarm:
    def test_invokes_each_function_of_the_environment_once(self) -> None:
        fake: Any = _Functions(["ainexus-local-runs-api", "ainexus-dev-api", "other", "ainexus-local-api"])
        assert functions_of(fake, "local") == ["ainexus-local-api", "ainexus-local-runs-api"]
        assert warm(fake, "local") == 2
        assert fake.invoked == ["ainexus-local-api", "ainexus-local-runs-api"]


class TestStart:
    def test_says_why_a_function_failed_and_nothing_when_it_did_not(self) -> None:
        fake: Any = _Functions([], broken=frozenset({"broken"}))
        assert start(fake, "well") is None
        assert start(fake, "broken") == '{"errorMessage": "no such module"}'
