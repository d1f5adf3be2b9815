"""The lock file of the functions: which distributions there are, and which of them a function needs."""

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
"""Distributions of the Lambda runtime. The local engine has them too, but for the last, which it never needs."""

_REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==", re.MULTILINE)
_COMMENT = re.compile(r"^[ ]+#[ ]*(?:via)?[ ]*(?P<parent>[A-Za-z0-9._-]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Lock:
    """The locked distributions by name, each with its lines and with what requires it."""

    lines: dict[str, str]
    required_by: dict[str, frozenset[str]]

    @classmethod
    def read(cls, path: Path) -> "Lock":
        """Read a lock that was written with its annotations (`# via`)."""
        text = path.read_text()
        starts = [*(match.start() for match in _REQUIREMENT.finditer(text)), len(text)]
        lines: dict[str, str] = {}
        required_by: dict[str, frozenset[str]] = {}
        for start, end in pairwise(starts):
            block = text[start:end]
            name = normalised(block.partition("==")[0])
            lines[name] = lines.get(name, "") + block
            parents = {normalised(match["parent"]) for match in _COMMENT.finditer(block) if match["parent"]}
            required_by[name] = required_by.get(name, frozenset()) | parents
        return cls(lines, required_by)

    def requirements(self, packages: Iterable[str]) -> str:
        """The lines of all that these imports need, without what the runtime has.

        Args:
            packages: top-level names as they are imported.

        Raises:
            LookupError: one of them is not in the lock.
        """
        wanted = {self._distribution(package) for package in packages} - RUNTIME
        while more := self._required(wanted) - wanted:
            wanted |= more
        return "".join(self.lines[name] for name in sorted(wanted))

    def _required(self, wanted: set[str]) -> set[str]:
        return {name for name, parents in self.required_by.items() if parents & wanted} - RUNTIME

    def _distribution(self, package: str) -> str:
        found = {normalised(name) for name in _distributions().get(package, [package])}
        known = found & (self.lines.keys() | RUNTIME)
        if not known:
            msg = f"{package} is imported by a function, but is not in its lock"
            raise LookupError(msg)
        return min(known)


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def normalised(name: str) -> str:
    """The name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
