"""The search for a value that fits a schema; it runs in a child process, see `instances`."""

import json


def respond(request: bytes) -> bytes:
    """Return a value, or the reason why none was found, as JSON."""
    # Imported here, so that only the child loads the library of the search.
    from services.runs.providers.domain.instance_search import InstanceNotFound, find_instance

    value, reason = "", ""
    try:
        value = find_instance(json.loads(request))
    except InstanceNotFound as error:
        reason = str(error)
    except RecursionError:
        reason = "is nested too deeply"
    return json.dumps({"value": value, "reason": reason}).encode()
