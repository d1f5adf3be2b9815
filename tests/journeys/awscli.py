"""The AWS command line of the guides, in an environment of its own."""

from pathlib import Path

from infra.local.packages import Packages
from infra.local.paths import Home


def folder_of_aws(home: Home) -> Path:
    """The folder with the program `aws`; the first time it is installed."""
    folder, packages, lock = home.tools / "awscli", Packages(home), home.root / "locks" / "guides.txt"
    if not packages.is_current(folder, lock=lock):
        packages.install(folder, lock=lock, interpreter=home.python)
    return folder / "bin"
