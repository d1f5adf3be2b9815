"""Messages about invalid fields, in the words of JSON instead of pydantic's.

Each completes a sentence that begins with the name of the field. None repeats the input.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

FORM = "#"
"""The beginning of the tags of fields that have a value in one of several forms. Paths of fields omit them."""
TEXT_TAG, OBJECT_TAG = f"{FORM}text", f"{FORM}object"
"""The tags of a field's types that differ in their JSON type, in a tagged union of pydantic."""
_KEY_OF_AN_OBJECT = "[key]"
"""The last part of pydantic's location if the name of a field is wrong, not its value."""
_OWN = ("value_error", "assertion_error")
MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "none_required": "must be null",
    "string_type": "must be a text",
    "string_unicode": "must be valid Unicode",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_parsing_size": "must be an integer of at most 64 bits",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "decimal_max_places": "must have at most {decimal_places} decimal places",
    "decimal_max_digits": "must have at most {max_digits} digits",
    "decimal_whole_digits": "must have at most {whole_digits} digits before the decimal point",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dataclass_type": "must be an object",
    "invalid_key": "must have texts as its keys",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "date_type": "must be a date such as 2026-11-22",
    "date_parsing": "must be a date such as 2026-11-22",
    "date_from_datetime_parsing": "must be a date such as 2026-11-22",
    "date_from_datetime_inexact": "must be a date such as 2026-11-22",
    "datetime_type": "must be a time such as 2026-11-22T23:19:05Z",
    "datetime_parsing": "must be a time such as 2026-11-22T23:19:05Z",
    "datetime_from_date_parsing": "must be a time such as 2026-11-22T23:19:05Z",
    "datetime_object_invalid": "must be a time such as 2026-11-22T23:19:05Z",
    "timezone_aware": "must have a time zone, such as 2026-11-22T23:19:05Z",
}
"""The message for each kind of pydantic's findings, with names of its context."""
_QUOTED = re.compile(r"'([^']*)'")


def path_of(location: Sequence[object]) -> list[str]:
    """Return the names in one of pydantic's locations."""
    names = (str(part) for part in location if part != _KEY_OF_AN_OBJECT)
    return [name for name in names if not name.startswith(FORM)]


def message_of(error: Mapping[str, Any]) -> str:
    """Return the message of one of pydantic's findings."""
    kind = str(error["type"])
    if kind in _OWN:
        # Raised by a validator of ours. Pydantic puts the kind of the exception before its message.
        return str(error.get("msg", "is not valid")).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    template = MESSAGES.get(kind)
    if template is None:
        return "is not valid"
    found: Mapping[str, Any] = error.get("ctx") or {}
    context = {name: _plain(value) for name, value in found.items()}
    try:
        return _one_entry(template.format_map(context))
    except KeyError:
        # Without its context, the sentence ends before the number.
        return "is not valid"


def _plain(value: object) -> str:
    """Return a bound as JSON and people write it: no quotes, and dates as dates."""
    return _QUOTED.sub(r"\1", str(value))


def _one_entry(message: str) -> str:
    return re.sub(r"\b1 (characters|entries|digits)$", lambda found: f"1 {_SINGULAR[found[1]]}", message)


_SINGULAR = {"characters": "character", "entries": "entry", "digits": "digit"}
