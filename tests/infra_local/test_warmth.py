"""Functions are started one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from infra.local.warmth import functions_of, warm


@dataclass
class _Functions:
    names: list[str]
    invoked: list[str] = field(default_factory=list[str])

    def get_paginator(self, operation: str) -> "_Functions":
        assert operation == "list_functions"
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        return ({"Functions": [{"FunctionName": name}]} for name in self.names)

    def invoke(self, *, FunctionName: str, Payload: str) -> None:  # noqa: N803 — boto3's names
        assert Payload
        self.invoked.append(FunctionName)


class TestWarm:
    def test_invokes_each_function_of_the_environment_once(self) -> None:
        fake: Any = _Functions(["ainexus-local-runs-api", "ainexus-dev-api", "other", "ainexus-local-api"])
        assert functions_of(fake, "local") == ["ainexus-local-api", "ainexus-local-runs-api"]
        assert warm(fake, "local") == 2
        assert fake.invoked == ["ainexus-local-api", "ainexus-local-runs-api"]
