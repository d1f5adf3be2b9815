"""`python -m bench.load`: put load on a separate mesh, and write the results."""

import os
import subprocess
import tempfile
from pathlib import Path

from bench import machine, mesh
from bench.load import notes, picture
from bench.load.stages import STAGES
from infra.local.packages import Packages
from infra.local.paths import ROOT, Home
from shared.times import to_text, utc_now

RESULTS = ROOT / "bench" / "results"
_FILE = ROOT / "bench" / "load" / "locustfile.py"


def main() -> None:
    """Deploy a mesh, run the load, and write the results."""
    with mesh.deployed() as ours, tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "notes.jsonl"
        _run_load(ours, found)
        seen = notes.read(found)
    facts = ", ".join(f"{name} {value}" for name, value in machine.facts().items())
    lines = [to_text(utc_now()), facts, "", *notes.lines_of(seen)]
    (RESULTS / "load.txt").write_text("\n".join(lines) + "\n")
    (RESULTS / "load.svg").write_text(picture.svg(seen))
    print("\n".join(lines))


def _run_load(ours: mesh.MeasuredMesh, found: Path) -> None:
    environ = {**os.environ, "TOKEN": ours.token, "AGENT_ID": ours.agent(model="gpt-4"), "NOTES": str(found)}
    bound = f"{sum(stage.seconds for stage in STAGES) + 60}s"
    arguments = ["--headless", "--only-summary", "--exit-code-on-error", "0", "--stop-timeout", "30", "-t", bound]
    command = [_locust(), "-f", str(_FILE), "--host", ours.target.outputs["ApiEndpoint"], *arguments]
    subprocess.run(command, cwd=ROOT, env=environ, check=True)  # noqa: S603 — the program that was just installed


def _locust() -> str:
    """Return the path of locust, which is installed into its own environment the first time."""
    home = Home.of({})
    folder, packages, lock = home.tools / "locust", Packages(home), home.root / "locks" / "load.txt"
    if not packages.is_current(folder, lock=lock):
        packages.install(folder, lock=lock, interpreter=home.python)
    return str(folder / "bin" / "locust")


if __name__ == "__main__":
    main()
