"""The commands in a block of shell, checked against the AWS command line."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import botocore.session
from botocore.exceptions import UnknownServiceError

_GLOBAL_OPTIONS = frozenset(
    {"--region", "--profile", "--query", "--output", "--endpoint-url", "--max-items", "--page-size"}
)
_RENAMED_OPTIONS = {("sns", "subscribe"): {"--endpoint": "--notification-endpoint"}}
"""Options that the command line renames, because it has a global option with the name of the parameter."""
_CLI_ONLY = {
    ("logs", "tail"): frozenset({"--follow", "--since", "--format", "--filter-pattern"}),
    ("dynamodb", "wait"): frozenset({"--table-name"}),
}
"""Commands without an operation in the service's API, with their options."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command with its words, as the shell would split them."""

    words: tuple[str, ...]

    @property
    def options(self) -> list[str]:
        """Return the names of the command's options, which begin with two dashes."""
        return [word.partition("=")[0] for word in self.words if word.startswith("--")]


def commands_of(code: str) -> Iterator[Command]:
    """Yield every simple command of a block, including those inside `$(…)`."""
    text = re.sub(r"(?m)(^|\s)#\s.*$", "", re.sub(r"\\\n", " ", code))
    for inner in re.findall(r"\$\(([^()]*)\)", text):
        yield from commands_of(inner)
    text = re.sub(r"\$\([^()]*\)", "OUTPUT", text)
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|\n")
    lexer.whitespace, lexer.whitespace_split = " \t", True
    words: list[str] = []
    for word in [*lexer, "\n"]:
        if set(word) <= set(";&|\n"):
            yield from [Command(tuple(words))] if words else []
            words = []
        else:
            words.append(word)


def invalid_parts(command: Command) -> list[str]:
    """Return the parts of an `aws …` that the AWS command line does not understand."""
    match command.words:
        case ("aws", service, operation, *_):
            known = _options(service, operation)
            if known is None:
                return [f"there is no aws {service} {operation}"]
            missing = _required(service, operation) - {*command.options}
            unknown = [option for option in command.options if option not in known | _GLOBAL_OPTIONS]
            return [*(f"{option} is unknown" for option in unknown), *(f"{option} is missing" for option in missing)]
        case _:
            return []


def _options(service: str, operation: str) -> frozenset[str] | None:
    if (service, operation) in _CLI_ONLY:
        return _CLI_ONLY[(service, operation)]
    members = _members(service, operation)
    renamed = _RENAMED_OPTIONS.get((service, operation), {})
    return None if members is None else frozenset(renamed.get(_option(name), _option(name)) for name in members[0])


def _required(service: str, operation: str) -> set[str]:
    members = _members(service, operation)
    return {_option(name) for name in members[1]} if members else set()


@cache
def _members(service: str, operation: str) -> tuple[Sequence[str], Sequence[str]] | None:
    """Return all and the required parameters of an operation; None if the operation does not exist."""
    try:
        model = botocore.session.get_session().get_service_model(service)
    except UnknownServiceError:
        return None
    named = {_dashed(name): name for name in model.operation_names}
    if operation not in named:
        return None
    shape = model.operation_model(named[operation]).input_shape
    return ([*shape.members], list(shape.required_members)) if shape else ([], [])


def _option(name: str) -> str:
    return f"--{_dashed(name)}"


def _dashed(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()
