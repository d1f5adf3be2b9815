"""References to documents in the artifacts bucket."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """The key of a document, and the SHA-256 hash of its content."""

    key: str
    sha256: str
