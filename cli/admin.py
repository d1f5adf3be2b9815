"""Commands of a service, asked for by invoking its `admin` function."""

import json
from typing import Any

from cli.errors import Refused, reason_of
from cli.target import Target


def ask(target: Target, command: str, *, service: str = "tenants", **given: object) -> dict[str, Any]:
    """Have a service carry out a command.

    Raises:
        Refused: it is not deployed, or does not want to.
    """
    functions = target.clients.functions
    payload = json.dumps({"command": command, **given})
    try:
        answer = functions.invoke(FunctionName=target.names.of(service, "admin"), Payload=payload)
    except functions.exceptions.ResourceNotFoundException as error:
        raise Refused(target.not_deployed) from error
    said: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        msg = f"The {service} service failed at {command}: {said.get('errorMessage')}. See `ainexus logs {service}`."
        raise Refused(msg)
    if "error" in said:
        raise Refused(reason_of(said))
    return said
