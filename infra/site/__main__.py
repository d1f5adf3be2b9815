"""`python -m infra.site`: build the documentation site, with every warning as an error."""

import os
import subprocess
import sys
from pathlib import Path

from infra.local.errors import LocalError
from infra.local.packages import Packages
from infra.local.paths import Home
from infra.site.check import problems
from infra.site.pages import BrokenLink, write_pages


def main() -> int:
    """Build the site and return an exit code; the pages are in `.ainexus/site/html`."""
    home = Home.of({})
    folder = home.tools / "site"
    try:
        mkdocs = _install(home)
        write_pages(home.root, folder)
    except (BrokenLink, LocalError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    # With `--quiet`, MkDocs would not count warnings, and `--strict` would have no effect.
    command = [str(mkdocs), "build", "--strict", "--config-file", str(folder / "mkdocs.yml")]
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "true"}
    ended = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 — just installed
    if ended.returncode:
        sys.stderr.write(ended.stderr)
        return 1
    found = problems(folder / "html")
    sys.stderr.writelines(f"{problem}\n" for problem in found)
    if not found:
        sys.stdout.write(f"Built {folder / 'html' / 'index.html'}\n")
    return bool(found)


def _install(home: Home) -> Path:
    environment, lock = home.tools / "mkdocs", home.root / "locks" / "site.txt"
    packages = Packages(home)
    if not packages.is_current(environment, lock=lock):
        packages.install(environment, lock=lock, interpreter=home.python)
    return environment / "bin" / "mkdocs"


if __name__ == "__main__":
    sys.exit(main())
