"""Zip files that are reproducible to the byte."""

import zipfile
from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o100644 << 16


def add_folder(archive: Path, folder: Path) -> None:
    """Add all files of a folder to an archive, sorted and with one date. A missing archive is created."""
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as opened:
        for path in sorted(found for found in folder.rglob("*") if found.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            entry.external_attr = _READABLE
            entry.create_system = 3
            opened.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
