"""The stacks of an environment in CloudFormation."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

_BROKEN = frozenset({"ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED", "UPDATE_FAILED"})
_ROLLED_BACK = frozenset({"ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"})
_EXPORT = "ExportsOutput"


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack with its status and outputs."""

    name: str
    status: str
    outputs: Mapping[str, str]

    @property
    def is_complete(self) -> bool:
        """Return whether the stack is complete."""
        return self.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}

    @property
    def is_changing(self) -> bool:
        """Return whether a change is in progress. A planned change does not count."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def is_broken(self) -> bool:
        """Return whether no deployment can continue from this status."""
        return self.status in _BROKEN

    @property
    def is_rolled_back(self) -> bool:
        """Return whether the last change failed and was rolled back."""
        return self.status in _ROLLED_BACK


def stacks_of(cloudformation: "CloudFormationClient", environment: str) -> tuple[Stack, ...]:
    """Return all stacks of an environment."""
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
    """Return whether a stack exists and is complete."""
    pages = cloudformation.get_paginator("describe_stacks").paginate()
    return any(
        stack["StackName"] == name and stack["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
        for page in pages
        for stack in page["Stacks"]
    )


def wait_for_stacks(
    cloudformation: "CloudFormationClient", environment: str, *, timeout_s: float = 120
) -> tuple[Stack, ...]:
    """Return all stacks after all changes in progress have ended. An interrupted deployment continues by itself."""
    until = time.monotonic() + timeout_s
    found = stacks_of(cloudformation, environment)
    while any(stack.is_changing for stack in found) and time.monotonic() < until:
        time.sleep(0.5)
        found = stacks_of(cloudformation, environment)
    return found


def outputs_of(stacks: Sequence[Stack], *, engine: str | None = None, stripe: str | None = None) -> dict[str, str]:
    """Merge all outputs into one object.

    Args:
        stacks: all stacks of one environment.
        engine: the address of the local engine, which is also that of the API.
        stripe: the address of the local Stripe.
    """
    flat = {name: value for stack in stacks for name, value in stack.outputs.items() if not name.startswith(_EXPORT)}
    if "ApiEndpoint" in flat:
        flat["ApiEndpoint"] = api_endpoint(flat["ApiEndpoint"], engine=engine)
    local = {"EngineEndpoint": engine, "StripeEndpoint": stripe}
    return flat | {name: where for name, where in local.items() if where}


def api_endpoint(output: str, *, engine: str | None) -> str:
    """Return the API's address with its stage, without a trailing slash."""
    if engine is None:
        return output.rstrip("/")
    address = urlsplit(output)
    api_id = (address.hostname or "").partition(".")[0]
    return f"{engine}/_aws/execute-api/{api_id}/{address.path.strip('/')}"
