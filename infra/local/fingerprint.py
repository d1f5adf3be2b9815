"""The fingerprint of all sources that a deployment is made from."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

SOURCES = ("infra", "services", "shared", "locks/functions.txt", "cdk.json")
"""The sources of templates and bundles."""

_LEFT_OUT = ("infra/local", "infra/site", "__pycache__")
_SUFFIXES = frozenset({".py", ".json", ".txt", ".yaml"})


def fingerprint(root: Path, *, also: Iterable[str] = ()) -> str:
    """Hash the sources below a root and the additional texts."""
    digest = hashlib.sha256("\n".join(also).encode())
    for path in _files(root):
        relative = path.relative_to(root).as_posix()
        digest.update(f"{relative} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _files(root: Path) -> list[Path]:
    found = {path for source in SOURCES for path in _below(root / source)}
    return sorted(path for path in found if path.suffix in _SUFFIXES and not _is_left_out(path.relative_to(root)))


def _below(source: Path) -> Iterable[Path]:
    return source.rglob("*") if source.is_dir() else [source] if source.exists() else []


def _is_left_out(path: Path) -> bool:
    return any(path.is_relative_to(folder) or folder in path.parts for folder in _LEFT_OUT)
