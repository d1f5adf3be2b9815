"""Log fields of an error: its type and its location, but never user input.

The message of an error can contain its input: a validation error prints the whole field, and a `ValueError` prints the
value that it could not parse. Therefore only messages that are known to contain no input are logged.
"""

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from shared.errors import AinexusError

_ROOT = Path(__file__).parents[1]
_FRAMES = 12
"""The number of innermost frames that are logged. The outer ones are the same for all errors."""


def facts_of(error: BaseException) -> dict[str, Any]:
    """Return the fields that describe an error in a log line.

    Returns:
        `error`, its type; `reason`, its message if that is safe to log; `stack`, the innermost frames, outer first,
        each as `path:line function`; `causes`, the types and reasons of its causes, the nearest first.
    """
    causes = [{"error": type(cause).__name__, "reason": _reason(cause)} for cause in _causes(error)]
    return {"error": type(error).__name__, "reason": _reason(error), "stack": _stack(error), "causes": causes}


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen, cause = {id(error)}, error.__cause__ or error.__context__
    while cause and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__


def _reason(error: BaseException) -> str:
    if isinstance(error, AinexusError):
        return str(error)
    if isinstance(error, ValidationError):
        wrong = error.errors(include_input=False, include_context=False, include_url=False)
        return f"{error.title}: " + ", ".join(f"{_place(one['loc'])} {one['type']}" for one in wrong)
    # botocore's ClientError has these attributes (https://docs.aws.amazon.com/boto3, error handling). Checking for them
    # avoids an import of botocore.
    response: object = getattr(error, "response", None)
    if isinstance(response, Mapping):
        details: object = cast("Mapping[str, object]", response).get("Error")
        if isinstance(details, Mapping):
            return f"{getattr(error, 'operation_name', '')}: {cast('Mapping[str, object]', details).get('Code')}"
    return ""


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "all of it"


def _stack(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{_shown(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _shown(file: str) -> str:
    return str(Path(file).relative_to(_ROOT)) if Path(file).is_relative_to(_ROOT) else file
