"""Commands of services, run by invoking their `commands` functions."""

import json
from typing import Any

from cli.errors import CommandRefused, format_error
from cli.target import Target


def invoke_command(target: Target, command: str, *, service: str = "tenants", **arguments: object) -> dict[str, Any]:
    """Run a command of a service and return its response.

    Raises:
        CommandRefused: the service is not deployed, failed or refused the command.
    """
    functions = target.clients.functions
    payload = json.dumps({"command": command, **arguments})
    try:
        response = functions.invoke(FunctionName=target.names.of(service, "commands"), Payload=payload)
    except functions.exceptions.ResourceNotFoundException as error:
        raise CommandRefused(target.not_deployed) from error
    body: dict[str, Any] = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        msg = f"The {service} service failed at {command}: {body.get('errorMessage')}. See `ainexus logs {service}`."
        raise CommandRefused(msg)
    if "error" in body:
        raise CommandRefused(format_error(body))
    return body
