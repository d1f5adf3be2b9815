"""Whether an answer conforms to a JSON Schema; runs in a child process, see `structure`."""

import json

ERROR_CHARS = 500


def request_of(text: str, schema: str) -> bytes:
    """Encode a question: does this JSON text conform to this schema?"""
    return json.dumps([text, schema], ensure_ascii=False).encode()


def respond(request: bytes) -> bytes:
    """Return what is wrong with the answer, in at most 500 characters; nothing when it conforms."""
    import jsonschema_rs

    text, schema = json.loads(request)
    try:
        # A schema is the tenant's; nothing that it refers to may be fetched in our name.
        jsonschema_rs.validate(json.loads(schema), json.loads(text), offline=True)
    except (ValueError, RecursionError) as error:
        return (str(error)[:ERROR_CHARS] or type(error).__name__).encode(errors="replace")
    return b""
