"""Free JSON: values that tenants and models write, and that no schema of ours describes.

Accepted values can be written by every serializer in use (json, pydantic, serde) and read by every client: at most 64
levels of nesting, integers of 64 bits, finite floats, and text without NUL and without unpaired surrogates.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, JsonValue

MAX_DEPTH = 64
"""Levels of objects and arrays; a scalar has none. Pydantic serializes 255."""
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

_TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels"
_BAD_TEXT = "holds a NUL character or half of a surrogate pair"
_CONTROL_TEXT = "must not contain control characters"
_BAD_INTEGER = "is an integer of more than 64 bits"
_NOT_FINITE = "is not a finite number"
_STORED_DEPTH = MAX_DEPTH + 16
"""Documents of ours hold accepted values some levels below their root."""
_INTEGER_CHARS = len(str(MIN_INTEGER))
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_CONTROLS = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""The control characters (Cc), the separators of lines and paragraphs, and the controls of a text's direction."""

Path = tuple[str | int, ...]


class NotAcceptable(ValueError):
    """A value that is not accepted as free JSON.

    Args:
        reason: completes a sentence that begins with the name of the field.
        path: keys and indexes from the root of the value to the defect.
    """

    def __init__(self, reason: str, path: Path = ()) -> None:
        super().__init__(" ".join([".".join(map(str, path)), reason]).strip())
        self.reason = reason
        self.path = path


def check(value: object) -> None:
    """Refuse a decoded value that cannot be written everywhere.

    Raises:
        NotAcceptable: it is nested too deep, or holds such a number or text.
    """
    check_depth(value)
    for path, scalar in _scalars(value):
        if reason := _defect(scalar):
            raise NotAcceptable(reason, path)


def check_depth(value: object) -> None:
    """Refuse a decoded value that is nested deeper than 64 levels.

    Raises:
        NotAcceptable: it is.
    """
    if _is_deep(value, levels=MAX_DEPTH):
        raise NotAcceptable(_TOO_DEEP)


def check_text(text: str) -> str:
    """Return the text.

    Raises:
        NotAcceptable: it holds NUL or an unpaired surrogate.
    """
    if reason := _defect(text):
        raise NotAcceptable(reason)
    return text


def check_line(text: str) -> str:
    """Return the text.

    Raises:
        NotAcceptable: it holds a control character, also one that breaks lines or reverses the direction of the text,
            or an unpaired surrogate.
    """
    if _CONTROLS.search(text):
        raise NotAcceptable(_CONTROL_TEXT)
    return check_text(text)


def loads(text: str) -> Any:  # noqa: ANN401 — any JSON
    """Decode a text into an acceptable value.

    Raises:
        NotAcceptable: it is not JSON, or not acceptable.
    """
    try:
        value = _STRICT.decode(text)
    except RecursionError as error:
        raise NotAcceptable(_TOO_DEEP) from error
    except NotAcceptable:
        raise
    except ValueError as error:
        msg = f"is not JSON: {error}"
        raise NotAcceptable(msg) from error
    if not _has_writable_text(text):
        check(value)
    elif _may_be_deep(text):
        check_depth(value)
    return value


def loads_stored(text: str) -> Any:  # noqa: ANN401 — any JSON
    """Decode a stored text, perhaps older than these rules, into a value that can be serialized; see `sanitize`."""
    try:
        value = _LENIENT.decode(text)
    except (ValueError, RecursionError):
        return {"unreadable": {"bytes": len(text.encode(errors="replace"))}}
    if _has_writable_text(text) and not (_may_be_deep(text) and _is_deep(value, levels=_STORED_DEPTH)):
        return value
    return sanitize(value, levels=_STORED_DEPTH)


def sanitize(value: object, *, levels: int = MAX_DEPTH) -> Any:  # noqa: ANN401 — any JSON
    """Return a copy of a decoded value in which everything that is not acceptable is replaced.

    NUL and unpaired surrogates become U+FFFD, numbers out of range become text, and values that are nested deeper than
    `levels` become a text that states so.
    """
    match value:
        case dict() | list() if levels == 0:
            return f"[{_TOO_DEEP.removeprefix('is ')}]"
        case dict():
            fields = cast("dict[str, object]", value)
            return {writable(key): sanitize(inner, levels=levels - 1) for key, inner in fields.items()}
        case list():
            return [sanitize(inner, levels=levels - 1) for inner in cast("list[object]", value)]
        case str():
            return writable(value)
        case _:
            return str(value) if _defect(value) else value


def writable(text: str) -> str:
    """Return the text with U+FFFD in place of each NUL and each unpaired surrogate."""
    return _UNWRITABLE.sub(_REPLACEMENT, text)


def encode(value: object, *, sort_keys: bool = False) -> bytes:
    """Return the value as compact JSON in UTF-8, the form in which it is stored and measured.

    A value that is not acceptable is sanitized, so that this never fails on JSON.
    """
    try:
        return _compact(value, sort_keys=sort_keys)
    except (ValueError, RecursionError):
        return _compact(sanitize(value, levels=_STORED_DEPTH), sort_keys=sort_keys)


def _compact(value: object, *, sort_keys: bool) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys)
    return text.encode()


def bounded_by(max_bytes: int) -> AfterValidator:
    """Bound the encoded size of a field of one of the types below."""

    def bounded(value: object) -> object:
        if len(encode(value)) > max_bytes:
            msg = f"is larger than {max_bytes} bytes as JSON"
            raise NotAcceptable(msg)
        return value

    return AfterValidator(bounded)


def _checked(value: object) -> object:
    check(value)
    return value


FreeJson = Annotated[JsonValue, BeforeValidator(_checked)]
"""The type of a field that takes any acceptable value; bound its size with `at_most`."""
FreeObject = Annotated[dict[str, JsonValue], BeforeValidator(_checked)]
"""The type of a field that takes any acceptable object; bound its size with `at_most`."""
Line = Annotated[str, AfterValidator(check_line)]
"""The type of an id, a name or a key: a text of one line, without control characters."""
FreeText = Annotated[str, AfterValidator(check_text)]
"""The type of a field that takes any text that can be written everywhere."""


def _defect(scalar: object) -> str | None:
    if isinstance(scalar, str):
        return _BAD_TEXT if _UNWRITABLE.search(scalar) else None
    if isinstance(scalar, int):
        return None if MIN_INTEGER <= scalar <= MAX_INTEGER else _BAD_INTEGER
    return _NOT_FINITE if isinstance(scalar, float) and not math.isfinite(scalar) else None


def _scalars(value: object) -> Iterator[tuple[Path, object]]:
    """All keys and scalars of a value, with the path of each; a key has the path of its object."""
    waiting: list[tuple[Path, object]] = [((), value)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, dict | list):
            inside = list(_inside(cast("object", one)))
            yield from ((path, name) for name, _ in inside)
            waiting += (((*path, name), inner) for name, inner in inside)
        else:
            yield path, one


def _inside(value: object) -> Iterator[tuple[str | int, object]]:
    if isinstance(value, dict):
        yield from cast("dict[str, object]", value).items()
    elif isinstance(value, list):
        yield from enumerate(cast("list[object]", value))


def _has_writable_text(text: str) -> bool:
    """Whether a JSON text certainly holds no NUL and no surrogate, neither escaped nor as it is."""
    if "\\u0000" in text or "\\ud" in text or "\\uD" in text:
        return False
    return text.isascii() or not _UNWRITABLE.search(text)


def _is_deep(value: object, *, levels: int) -> bool:
    level: list[object] = [value]
    for _ in range(levels + 1):
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return False
        level = [inner for outer in level for _, inner in _inside(outer)]
    return True


def _may_be_deep(text: str) -> bool:
    return text.count("{") + text.count("[") > MAX_DEPTH


def _constant(name: str) -> float:
    msg = f"holds {name}, which is not JSON"
    raise NotAcceptable(msg)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotAcceptable(_NOT_FINITE)
    return number


def _integer(text: str) -> int:
    if not _is_integer_in_range(text):
        raise NotAcceptable(_BAD_INTEGER)
    return int(text)


def _float_or_text(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _integer_or_text(text: str) -> int | str:
    return int(text) if _is_integer_in_range(text) else text


def _is_integer_in_range(text: str) -> bool:
    return len(text) < _INTEGER_CHARS - 1 or (len(text) <= _INTEGER_CHARS and MIN_INTEGER <= int(text) <= MAX_INTEGER)


_STRICT = json.JSONDecoder(parse_constant=_constant, parse_float=_float, parse_int=_integer)
_LENIENT = json.JSONDecoder(parse_constant=str, parse_float=_float_or_text, parse_int=_integer_or_text)
