"""Install everything that the mesh needs into the checkout: `python3 -m infra.local.install`.

It runs on a bare Python 3.11, so this module and its imports use only the standard library.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from infra.local import interpreter
from infra.local.errors import LocalError, NotInstalled
from infra.local.packages import Packages
from infra.local.paths import Home
from infra.local.progress import ConsoleProgress

Installer = Callable[[Home], None]


def install(home: Home, *, progress: ConsoleProgress) -> None:
    """Install what is missing or out of date. Without anything to do it returns at once.

    Raises:
        NotInstalled: a step failed.
    """
    packages = Packages(home)
    steps = (_uv(packages), *_environments(home, packages), _node(home))
    waiting = [(name, work) for name, is_done, work in steps if not is_done()]
    if not waiting:
        progress.note("everything is installed")
    for name, work in waiting:
        with progress.step(name):
            work()


Step = tuple[str, Callable[[], bool], Callable[[], None]]


def _uv(packages: Packages) -> Step:
    return "fetching the installer (uv)", packages.has_uv, packages.install_uv


def _environments(home: Home, packages: Packages) -> tuple[Step, ...]:
    environments = (
        ("installing the tools (.venv)", home.environment, home.root / "locks" / "dev.txt"),
        ("installing the engine (.ainexus/engine)", home.engine_environment, home.engine_lock),
    )
    return tuple(
        _environment(home, packages, name=name, folder=folder, lock=lock) for name, folder, lock in environments
    )


def _environment(home: Home, packages: Packages, *, name: str, folder: Path, lock: Path) -> Step:
    def is_done() -> bool:
        return packages.is_current(folder, lock=lock) and _same_python(home, folder)

    def work() -> None:
        packages.install(folder, lock=lock, interpreter=_interpreter(home))

    return name, is_done, work


def _interpreter(home: Home) -> Path:
    """Return the interpreter of the existing environment, so that all have one version; else the best one."""
    has = interpreter.version_of(home.python)
    if has and has >= interpreter.OLDEST:
        return Path(os.path.realpath(home.python))
    return interpreter.best(interpreter.candidates(), running=interpreter.base())


def _same_python(home: Home, folder: Path) -> bool:
    """Compare interpreters: bundles are built with one environment and run in the other."""
    return folder == home.environment or os.path.realpath(folder / "bin" / "python") == os.path.realpath(home.python)


def _node(home: Home) -> Step:
    stamp = home.tools / "node.stamp"
    digest = hashlib.sha256((home.root / "infra" / "tools.py").read_bytes()).hexdigest()

    def is_done() -> bool:
        return stamp.is_file() and stamp.read_text() == digest

    def work() -> None:
        code = "from infra.tools import install_node_tools; install_node_tools()"
        ended = subprocess.run(  # noqa: S603 — our own interpreter
            [str(home.python), "-c", code], cwd=home.root, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise NotInstalled(_explain_npm(ended.stderr))
        stamp.write_text(digest)

    return "installing the CDK command line", is_done, work


def _explain_npm(output: str) -> str:
    """Return npm's own error lines, without the command that was run."""
    lines = output.strip().splitlines()
    own = [line for line in lines if line.startswith("npm error")] or lines
    hint = "The first installation needs the npm registry; behind a proxy set HTTPS_PROXY."
    return "\n".join(["The CDK command line could not be installed.", hint, *own[:8]])


def main() -> int:
    """Install everything, and print the error if a step fails."""
    try:
        install(Home.of(os.environ), progress=ConsoleProgress())
    except LocalError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. `make setup` goes on from here.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
