"""The stacks of an environment, as CloudFormation has them."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

_BROKEN = frozenset({"ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED", "UPDATE_FAILED"})
_BACK = frozenset({"ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"})
_EXPORT = "ExportsOutput"


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack, its status, and what it says of itself."""

    name: str
    status: str
    outputs: Mapping[str, str]

    @property
    def is_complete(self) -> bool:
        """Whether all of it is there."""
        return self.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}

    @property
    def is_changing(self) -> bool:
        """Whether something is being done to it; a change that is only planned does not count."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def is_broken(self) -> bool:
        """Whether no deployment can bring it further."""
        return self.status in _BROKEN

    @property
    def went_back(self) -> bool:
        """Whether the last change of it failed and was taken back."""
        return self.status in _BACK


def stacks_of(cloudformation: "CloudFormationClient", environment: str) -> tuple[Stack, ...]:
    """All stacks of an environment."""
    pages = cloudformation.get_paginator("describe_stacks").paginate()
    found = [
        Stack(
            stack["StackName"],
            stack["StackStatus"],
            {output.get("OutputKey", ""): output.get("OutputValue", "") for output in stack.get("Outputs", [])},
        )
        for page in pages
        for stack in page["Stacks"]
        if re.fullmatch(rf"AILab[A-Za-z]+-{re.escape(environment)}", stack["StackName"])
        and stack["StackStatus"] != "DELETE_COMPLETE"
    ]
    return tuple(sorted(found, key=lambda stack: stack.name))


def has_stack(cloudformation: "CloudFormationClient", name: str) -> bool:
    """Whether a stack is there and complete."""
    pages = cloudformation.get_paginator("describe_stacks").paginate()
    return any(
        stack["StackName"] == name and stack["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
        for page in pages
        for stack in page["Stacks"]
    )


def settled_stacks(
    cloudformation: "CloudFormationClient", environment: str, *, patience_s: float = 120
) -> tuple[Stack, ...]:
    """All stacks, once none of them is being changed any more; an interrupted deployment goes on by itself."""
    until = time.monotonic() + patience_s
    found = stacks_of(cloudformation, environment)
    while any(stack.is_changing for stack in found) and time.monotonic() < until:
        time.sleep(0.5)
        found = stacks_of(cloudformation, environment)
    return found


def outputs_of(stacks: Sequence[Stack], *, engine: str | None = None, stripe: str | None = None) -> dict[str, str]:
    """All outputs in one flat object.

    Args:
        stacks: of one environment.
        engine: where the local engine answers; the API's address leads there, too.
        stripe: where the local Stripe answers.
    """
    flat = {name: value for stack in stacks for name, value in stack.outputs.items() if not name.startswith(_EXPORT)}
    if "ApiEndpoint" in flat:
        flat["ApiEndpoint"] = api_endpoint(flat["ApiEndpoint"], engine=engine)
    local = {"EngineEndpoint": engine, "StripeEndpoint": stripe}
    return flat | {name: where for name, where in local.items() if where}


def api_endpoint(said: str, *, engine: str | None) -> str:
    """The API's address, with its stage and without a slash at the end."""
    if engine is None:
        return said.rstrip("/")
    address = urlsplit(said)
    api_id = (address.hostname or "").partition(".")[0]
    return f"{engine}/_aws/execute-api/{api_id}/{address.path.strip('/')}"
