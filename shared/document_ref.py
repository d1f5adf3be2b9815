"""References to documents that lie in the artifacts bucket."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a document lies and what it hashes to."""

    key: str
    sha256: str
