"""The guards, each taken out of the real code: without it the attacks must succeed.

`python -m tests.isolation.guards FOLDER` writes a file for each guard, with the attacks that get through without it.
Every guard has a process of its own, which imports the product with that one line changed.
"""

import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import CodeType, ModuleType


@dataclass(frozen=True, slots=True)
class Guard:
    """A line that keeps tenants apart, and what is left when it is gone."""

    name: str
    module: str
    line: str
    without: str
    family: str
    """The attacks that must get through then."""


GUARDS = (
    Guard(
        "the path is the token's",
        "shared.tenancy.context",
        "return claims.tenant_id == tenant_id",
        "return True",
        "path",
    ),
    Guard(
        "operators name tenants",
        "shared.tenancy.context",
        "return TENANT_ID.fullmatch(tenant_id) is not None",
        "return True",
        "odd path of an operator",
    ),
    Guard("the role is enough", "shared.tenancy.context", "if not claims.role.includes(least):", "if False:", "role"),
    Guard(
        "a refusal names nobody",
        "shared.tenancy.context",
        '"This path is not open to you."',
        'f"{tenant_id} is not you."',
        "path",
    ),
    Guard("it is an id token", "shared.tenancy.claims", 'claims.get("token_use") != "id"', "False", "forged token"),
    Guard(
        "it was made for our client",
        "shared.tenancy.claims",
        'claims.get("aud") != audience',
        "False",
        "forged token",
    ),
    Guard(
        "operators have no tenant",
        "shared.tenancy.claims",
        "(tenant_id is None) != (role is Role.PLATFORM_ADMIN)",
        "False",
        "forged token",
    ),
    Guard("there is a token", "shared.http.app", "    if not request.claims:\n", "    if False:\n", "no token"),
    Guard(
        "only known queries", "shared.http.app", "        if unknown:\n", "        if False:\n", "smuggled in the query"
    ),
    Guard("cursors have a scope", "shared.http.token", " if mark == _mark(scope):", ":", "cursor"),
    Guard("keys are of a tenant", "shared.storage.idempotency", "owned.key(self.tenant_id,", 'owned.key("all",', "key"),
    Guard(
        "keys are of a user",
        "shared.http.app",
        'f"{call.caller.principal} {request.method}',
        'f"{request.method}',
        "key",
    ),
    Guard(
        "items are of a tenant",
        "shared.declaration",
        '("TENANT", tenant_id, self.name, *parts)',
        '("TENANT", "all", self.name, *parts)',
        "id",
    ),
)

_OTHERS = (
    "aws_lambda_powertools.event_handler.openapi",
    "boto3",
    "moto.dynamodb",
    "moto.s3",
    "moto.sts",
    "pytest",
    "time_machine",
)
"""What the product and its tests import of others; loaded once, before the processes part."""


class _Without(MetaPathFinder):
    """Finds the module of a guard, and takes the guard out."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module with another loader, if it is the one."""
        if fullname != self._guard.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec
        assert spec.origin
        spec.loader = _Unguarded(fullname, spec.origin, self._guard)
        return spec


class _Unguarded(SourceFileLoader):
    def __init__(self, fullname: str, path: str, guard: Guard) -> None:
        super().__init__(fullname, path)
        self._guard = guard

    def get_code(self, fullname: str) -> CodeType:
        """The module's code without the guard."""
        source = Path(self.path).read_text()
        assert source.count(self._guard.line) == 1, f"{fullname} does not have {self._guard.line!r} once"
        return compile(source.replace(self._guard.line, self._guard.without), self.path, "exec")


def try_without(guard: Guard, output: Path) -> None:
    """Write the attacks that get through without a guard; in a process that has imported nothing of ours."""
    sys.meta_path.insert(0, _Without(guard))
    found: list[str] = import_module("tests.isolation.skirmish").breaches(guard.family)
    output.write_text(json.dumps(found))


def batched(processes: Sequence[BaseProcess], size: int) -> Iterator[Sequence[BaseProcess]]:
    """So many at a time."""
    return (processes[start : start + size] for start in range(0, len(processes), size))


def main(folder: Path) -> None:
    """Try it without each guard, two at a time; each writes its file into the folder."""
    for name in _OTHERS:
        import_module(name)
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=try_without, args=(guard, folder / f"{number}.json")) for number, guard in enumerate(GUARDS)
    ]
    for pair in batched(processes, 2):
        for process in pair:
            process.start()
        for process in pair:
            process.join()


def got_through(folder: Path) -> dict[str, list[str]]:
    """What `main` has written, by the name of the guard."""
    return {guard.name: json.loads((folder / f"{number}.json").read_text()) for number, guard in enumerate(GUARDS)}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
