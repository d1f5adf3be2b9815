"""Mutation tests of the guards: without a guard in the real code, its attacks must succeed.

`python -m tests.isolation.guards FOLDER` writes a file for each guard, with the attacks that succeed without it.
Each guard is tested in a separate process, which imports the product with that one line changed.
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
    """A line of code that isolates tenants, and the line that replaces it."""

    name: str
    module: str
    line: str
    replacement: str
    family: str
    """The family of attacks that must then succeed."""


GUARDS = (
    Guard(
        "the tenant of the path is that of the token",
        "shared.tenancy.context",
        "return claims.tenant_id == tenant_id",
        "return True",
        "path",
    ),
    Guard(
        "operators use valid tenant ids",
        "shared.tenancy.context",
        "return TENANT_ID.fullmatch(tenant_id) is not None",
        "return True",
        "odd path of an operator",
    ),
    Guard("the role is sufficient", "shared.tenancy.context", "if not role.includes(min_role):", "if False:", "role"),
    Guard(
        "a refusal does not contain a tenant id",
        "shared.tenancy.context",
        '"You do not have access to this resource."',
        'f"{tenant_id} is another tenant."',
        "path",
    ),
    Guard(
        "the token is an id token",
        "services.core.authorizer.domain",
        'payload.get("token_use") != "id"',
        "False",
        "forged token",
    ),
    Guard(
        "the token was issued for our client",
        "services.core.authorizer.gateway",
        "audience=self._audience,",
        'audience=[self._audience, "another-client"],',
        "forged token",
    ),
    Guard(
        "a context has not expired",
        "shared.tenancy.claims",
        "claims.expires_at is not None and claims.expires_at <= now",
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
    Guard(
        "query parameters are known",
        "shared.http.middleware",
        "    if unknown:\n",
        "    if False:\n",
        "smuggled in the query",
    ),
    Guard("cursors are valid for one list", "shared.http.token", " if mark == _mark(scope):", ":", "cursor"),
    Guard(
        "idempotency keys belong to a tenant",
        "shared.storage.idempotency",
        "owned.key(self.tenant_id,",
        'owned.key("all",',
        "key",
    ),
    Guard(
        "idempotency keys belong to a user",
        "shared.http.middleware",
        'scope=f"{caller.principal} {request.method}',
        'scope=f"{request.method}',
        "key",
    ),
    Guard(
        "items belong to a tenant",
        "shared.declaration",
        '("TENANT", tenant_id, self.name, *parts)',
        '("TENANT", "all", self.name, *parts)',
        "id",
    ),
)

_PRELOADED_MODULES = (
    "anthropic",
    "aws_lambda_powertools.event_handler.openapi",
    "boto3",
    "httpcore2",
    "httpx2",
    "moto.cognitoidp",
    "moto.dynamodb",
    "moto.s3",
    "moto.secretsmanager",
    "moto.sqs",
    "moto.sts",
    "openai",
    "pydantic",
    "pytest",
    "stripe",
    "time_machine",
)
"""Third-party modules of the product and its tests, imported once before the processes fork."""


class _GuardRemovingFinder(MetaPathFinder):
    """An import finder that loads the module of a guard without the guard."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec with another loader if it is the guard's module."""
        if fullname != self._guard.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec
        assert spec.origin
        spec.loader = _GuardRemovingLoader(fullname, spec.origin, self._guard)
        return spec


class _GuardRemovingLoader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, guard: Guard) -> None:
        super().__init__(fullname, path)
        self._guard = guard

    def get_code(self, fullname: str) -> CodeType:
        """Return the module's code without the guard."""
        source = Path(self.path).read_text()
        assert source.count(self._guard.line) == 1, f"{fullname} does not have {self._guard.line!r} once"
        return compile(source.replace(self._guard.line, self._guard.replacement), self.path, "exec")


def run_without(guard: Guard, output: Path) -> None:
    """Write the attacks that succeed without a guard. The process must not have imported the product."""
    sys.meta_path.insert(0, _GuardRemovingFinder(guard))
    found: list[str] = import_module("tests.isolation.smoke").breaches(guard.family)
    output.write_text(json.dumps(found))


def batched(processes: Sequence[BaseProcess], size: int) -> Iterator[Sequence[BaseProcess]]:
    """Yield batches of this size."""
    return (processes[start : start + size] for start in range(0, len(processes), size))


def main(folder: Path) -> None:
    """Run the attacks without each guard, two processes at a time. Each writes its file into the folder."""
    for name in _PRELOADED_MODULES:
        import_module(name)
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=run_without, args=(guard, folder / f"{number}.json")) for number, guard in enumerate(GUARDS)
    ]
    for pair in batched(processes, 2):
        for process in pair:
            process.start()
        for process in pair:
            process.join()


def read_breaches(folder: Path) -> dict[str, list[str]]:
    """Return the successful attacks that `main` has written, by the name of the guard."""
    return {guard.name: json.loads((folder / f"{number}.json").read_text()) for number, guard in enumerate(GUARDS)}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
