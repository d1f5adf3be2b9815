"""The lock file of the functions, and the distributions in it that a function needs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

RUNTIME = frozenset(
    {"boto3", "botocore", "s3transfer", "jmespath", "urllib3", "python-dateutil", "six", "snapshot-restore-py"}
)
"""Distributions of the Lambda runtime. The local engine has them too, except the last, which it never needs."""

_REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==", re.MULTILINE)
_COMMENT = re.compile(r"^[ ]+#[ ]*(?:via)?[ ]*(?P<parent>[A-Za-z0-9._-]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Lock:
    """The locked distributions by name, each with its lines and its dependents."""

    lines: dict[str, str]
    required_by: dict[str, frozenset[str]]

    @classmethod
    def read(cls, path: Path) -> "Lock":
        """Read a lock with its annotations (`# via`)."""
        text = path.read_text()
        starts = [*(match.start() for match in _REQUIREMENT.finditer(text)), len(text)]
        lines: dict[str, str] = {}
        required_by: dict[str, frozenset[str]] = {}
        for start, end in pairwise(starts):
            block = text[start:end]
            name = normalized(block.partition("==")[0])
            lines[name] = lines.get(name, "") + block
            parents = {normalized(match["parent"]) for match in _COMMENT.finditer(block) if match["parent"]}
            required_by[name] = required_by.get(name, frozenset()) | parents
        return cls(lines, required_by)

    def requirements(self, packages: Iterable[str]) -> str:
        """Return the lines of all distributions that these imports need, without those of the runtime.

        Args:
            packages: the top-level names of the imports.

        Raises:
            LookupError: one of them is not in the lock.
        """
        required = {self._distribution(package) for package in packages} - RUNTIME
        while more := self._required(required) - required:
            required |= more
        return "".join(self.lines[name] for name in sorted(required))

    def _required(self, required: set[str]) -> set[str]:
        return {name for name, parents in self.required_by.items() if parents & required} - RUNTIME

    def _distribution(self, package: str) -> str:
        found = {normalized(name) for name in _distributions().get(package, [package])}
        locked = found & (self.lines.keys() | RUNTIME)
        if not locked:
            msg = f"{package} is imported by a function, but is not in its lock"
            raise LookupError(msg)
        return min(locked)


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def normalized(name: str) -> str:
    """Normalize a name as package indexes do."""
    return re.sub(r"[-_.]+", "-", name).lower()
