"""Validation of an answer against a JSON Schema; it runs in a child process, see `structure`."""

import json

ERROR_CHARS = 500


def request_of(text: str, schema: str) -> bytes:
    """Encode the request to validate this JSON text against this schema."""
    return json.dumps([text, schema], ensure_ascii=False).encode()


def respond(request: bytes) -> bytes:
    """Return the validation error, in at most 500 characters; empty if the answer conforms."""
    import jsonschema_rs

    text, schema = json.loads(request)
    try:
        # The schema is the tenant's input: its references must not be fetched from our network.
        jsonschema_rs.validate(json.loads(schema), json.loads(text), offline=True)
    except (ValueError, RecursionError) as error:
        return (str(error)[:ERROR_CHARS] or type(error).__name__).encode(errors="replace")
    return b""
