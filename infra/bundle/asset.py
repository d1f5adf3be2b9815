"""A function's code as one archive, named by a hash of its content."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.bundle.archive import add_folder
from infra.bundle.bytecode import compile_all
from infra.bundle.closure import closure_of
from infra.bundle.lock import Lock
from infra.bundle.target import ROOT, STATE, BundleTarget
from infra.bundle.wheels import FORMAT, wheels

_CACHE_RETENTION_S = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Asset:
    """An archive and the hash of its sources."""

    path: Path
    content_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundles:
    """Builds the archive of a handler, or takes it from the cache."""

    target: BundleTarget
    with_packages: bool = True
    """False: source only, for templates that are never deployed. Its hash never equals that of a complete bundle."""
    root: Path = ROOT
    cache: Path = field(default=STATE / "bundles")

    def make(self, handler: str, *, extra_files: Mapping[str, bytes] | None = None) -> Asset:
        """Return the archive of a handler.

        Args:
            handler: the dotted path of the callable.
            extra_files: additional files by path.
        """
        files, requirements = self._parts(handler, extra_files or {})
        content_hash = self._hash(files, requirements)
        archive = self.cache / f"{content_hash}.zip"
        if archive.exists():
            archive.touch()
        else:
            self._build(archive, files=files, requirements=requirements)
        return Asset(archive, content_hash)

    def content_hash_of(self, handler: str, *, extra_files: Mapping[str, bytes] | None = None) -> str:
        """Return the hash that the archive of a handler would have."""
        return self._hash(*self._parts(handler, extra_files or {}))

    def prune(self) -> None:
        """Delete archives that have not been used for a week."""
        oldest = time.time() - _CACHE_RETENTION_S
        for archive in self.cache.glob("*.zip"):
            if archive.stat().st_mtime < oldest:
                archive.unlink(missing_ok=True)

    def _parts(self, handler: str, extra_files: Mapping[str, bytes]) -> tuple[dict[str, bytes], str]:
        closure = closure_of(handler.rpartition(".")[0], root=self.root)
        files = {path.as_posix(): (self.root / path).read_bytes() for path in closure.files}
        requirements = Lock.read(self.root / "locks" / "functions.txt").requirements(closure.packages)
        return {**files, **extra_files}, requirements

    def _hash(self, files: Mapping[str, bytes], requirements: str) -> str:
        kind = self.target.key if self.with_packages else "source"
        digest = hashlib.sha256(f"{FORMAT}\n{kind}\n{requirements}\n".encode())
        for path, content in sorted(files.items()):
            digest.update(f"{path} {hashlib.sha256(content).hexdigest()}\n".encode())
        return digest.hexdigest()

    def _build(self, archive: Path, *, files: Mapping[str, bytes], requirements: str) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache) as scratch:
            unfinished, folder = Path(scratch) / "made.zip", Path(scratch) / "source"
            for path, content in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            if self.with_packages:
                shutil.copyfile(wheels(requirements, target=self.target, cache=self.cache), unfinished)
                if self.target.compiler:
                    compile_all(folder, interpreter=self.target.compiler)
            add_folder(unfinished, folder)
            unfinished.replace(archive)
