"""The mesh of the journeys: the real stacks on an engine of their own, beside any mesh that a person has up.

`tests/conftest.py` has the fixture, so that there is one for all. To look at a failed journey afterwards, or to
spare oneself the deployment, name a folder in `AINEXUS_TEST_HOME`: the mesh in it is used again and stays up.
"""

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cli.api import ApiRequest, ApiResponse, send
from cli.password import new_password
from cli.seed import seed_mesh
from cli.sign_in import sign_in
from cli.target import Target
from infra.local import record
from infra.local.clients import Clients
from infra.local.engine import Engine
from infra.local.health import free_port
from infra.local.record import EngineRecord

ADMIN = "admin@demo-org.com"
DEVELOPER = "dev@demo-org.com"
PLATFORM_ADMIN = "platform@ainexus.local"

_TOKEN_USED_S = 600
"""For how long a token is used; it is valid for 900 s."""


@dataclass
class Mesh:
    """A deployed mesh, seeded, with all ways into it."""

    environ: dict[str, str]
    target: Target
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict[str, tuple[float, str]])

    @property
    def clients(self) -> Clients:
        """AWS clients of its engine."""
        return self.target.clients

    @property
    def outputs(self) -> dict[str, str]:
        """All outputs of its stacks."""
        return self.target.outputs

    @property
    def api(self) -> str:
        """Where its API is, with the stage."""
        return self.outputs["ApiEndpoint"]

    @property
    def engine(self) -> Engine:
        """Its engine."""
        return self.target.mesh.engine

    @property
    def engine_process(self) -> EngineRecord:
        """The engine's process."""
        noted = record.read(self.target.mesh.home.engine_record)
        assert noted, "the engine does not run"
        return noted

    def token(self, email: str = ADMIN) -> str:
        """An id token of a user."""
        since, token = self._tokens.get(email, (0.0, ""))
        if time.monotonic() - since > _TOKEN_USED_S or not token:
            token = sign_in(self.target, email).token
            self._tokens[email] = (time.monotonic(), token)
        return token

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        user: str | None = ADMIN,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ApiResponse:
        """Ask the API.

        Args:
            method: `GET`, `POST`, …
            path: below the stage, for example `/v1/health`.
            body: sent as JSON.
            user: in whose name; None: without a token.
            token: instead of that user's.
            headers: besides the usual ones.
        """
        bearer = token or (self.token(user) if user else None)
        return send(ApiRequest(method, f"{self.api}{path}", body, headers or {}, bearer))

    def restart(self) -> None:
        """Down and up again, as a person would."""
        self.target.mesh.down()
        self.up()

    def up(self) -> None:
        """Start what does not run, deploy what has changed."""
        self.target.mesh.up()
        # Clients and outputs are made anew: nothing of before may be taken for the truth.
        self.target = Target("local", environ=self.environ)


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """The mesh of this session."""
    with running_mesh(lambda: tmp_path_factory.mktemp("mesh")) as made:
        yield made


@contextmanager
def running_mesh(new_folder: Callable[[], Path]) -> Generator[Mesh]:
    """Start and seed a mesh, and stop it afterwards.

    Args:
        new_folder: returns an empty folder for its state; not asked when `AINEXUS_TEST_HOME` names one, whose mesh
            is used as it is and stays up.
    """
    named = os.environ.get("AINEXUS_TEST_HOME")
    environ = _environ(Path(named) if named else new_folder())
    made = Mesh(environ, Target("local", environ=environ))
    try:
        made.up()
        seed_mesh(made.target, temporary_password=new_password())
        yield made
    finally:
        if not named:
            made.target.mesh.down()


def _environ(home: Path) -> dict[str, str]:
    """What the mesh runs with: a port that is free, or the one that its engine has."""
    noted = record.read(home / "engine.json")
    port = noted.port if noted and noted.is_running else free_port()
    return {**os.environ, "AINEXUS_HOME": str(home), "AINEXUS_PORT": str(port)}
