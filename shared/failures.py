"""What may be logged of an error: where it was and of which kind, never what somebody had written.

The message of any error can hold its input: a validation error prints the whole field, a `ValueError` what could not
be read. So only messages that are known to speak of nothing else are kept.
"""

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from shared.errors import AinexusError

_ROOT = Path(__file__).parents[1]
_FRAMES = 12
"""The innermost so many; what calls them is the same for all."""


def facts_of(error: BaseException) -> dict[str, Any]:
    """The fields of a log line.

    Returns:
        `error`, its kind; `reason`, what can be said of it; `stack`, the innermost frames, outer first, each as
        `path:line function`; `causes`, the kinds and reasons of those that it came from, the nearest first.
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
    # botocore's ClientError has them (https://docs.aws.amazon.com/boto3, error handling), and is not imported for it.
    response: object = getattr(error, "response", None)
    if isinstance(response, Mapping):
        said: object = cast("Mapping[str, object]", response).get("Error")
        if isinstance(said, Mapping):
            return f"{getattr(error, 'operation_name', '')}: {cast('Mapping[str, object]', said).get('Code')}"
    return ""


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "all of it"


def _stack(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{_shown(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _shown(file: str) -> str:
    return str(Path(file).relative_to(_ROOT)) if Path(file).is_relative_to(_ROOT) else file
