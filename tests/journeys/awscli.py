"""The AWS command line that the guides use, in a virtual environment of its own."""

from pathlib import Path

from infra.local.packages import Packages
from infra.local.paths import Home


def folder_of_aws(home: Home) -> Path:
    """Return the folder with the program `aws`. Install it the first time."""
    folder, packages, lock = home.tools / "awscli", Packages(home), home.root / "locks" / "guides.txt"
    if not packages.is_current(folder, lock=lock):
        packages.install(folder, lock=lock, interpreter=home.python)
    return folder / "bin"
