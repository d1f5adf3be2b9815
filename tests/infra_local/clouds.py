"""CloudFormation, as far as the deployment asks it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FakeCloudFormation:
    """Answers `describe_stacks` with one list after the other; the last one stays."""

    answers: list[list[dict[str, Any]]]
    asked: int = field(default=0)

    def get_paginator(self, operation: str) -> "FakeCloudFormation":
        """Itself."""
        assert operation == "describe_stacks"
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        """One page for each stack."""
        stacks = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return ({"Stacks": [stack]} for stack in stacks)


@dataclass
class FakeClients:
    """The clients that are asked before anything is deployed."""

    cloudformation: Any


def stack(name: str, status: str = "CREATE_COMPLETE", **outputs: str) -> dict[str, Any]:
    """A stack as CloudFormation describes it."""
    said = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    return {"StackName": name, "StackStatus": status, "Outputs": said}


def cloud(*answers: Sequence[dict[str, Any]]) -> Any:  # noqa: ANN401 — stands for boto3's client
    """A CloudFormation client."""
    return FakeCloudFormation([list(answer) for answer in answers])
