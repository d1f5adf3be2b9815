"""A fake CloudFormation with the operations that the deployment needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FakeCloudFormation:
    """Returns one list after the other from `describe_stacks`; the last one stays."""

    responses: list[list[dict[str, Any]]]
    request_count: int = field(default=0)

    def get_paginator(self, operation: str) -> "FakeCloudFormation":
        """Return itself."""
        assert operation == "describe_stacks"
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        """Return one page for each stack."""
        stacks = self.responses[min(self.request_count, len(self.responses) - 1)]
        self.request_count += 1
        return ({"Stacks": [stack]} for stack in stacks)


@dataclass
class FakeClients:
    """The clients that a deployment uses first."""

    cloudformation: Any


def stack(name: str, status: str = "CREATE_COMPLETE", **outputs: str) -> dict[str, Any]:
    """Return a stack as CloudFormation describes it."""
    described = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    return {"StackName": name, "StackStatus": status, "Outputs": described}


def cloud(*responses: Sequence[dict[str, Any]]) -> Any:  # noqa: ANN401 — a fake of boto3's client
    """Return a CloudFormation client."""
    return FakeCloudFormation([list(answer) for answer in responses])
