"""The mesh of the journeys: the real stacks on a separate engine, independent of any mesh of the developer.

`tests/conftest.py` exports the fixture, so that each process has one mesh for all its journeys. To inspect a failed
journey or to skip the deployment, set `AINEXUS_TEST_HOME` to a folder: its mesh is reused and keeps running.
"""

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from cli.api import ApiRequest, ApiResponse, send
from cli.password import new_password
from cli.seed import seed_mesh
from cli.sign_in import sign_in
from cli.target import Target
from infra.local import record
from infra.local.clients import AwsClients
from infra.local.engine import Engine
from infra.local.health import free_port
from infra.local.record import EngineRecord

ADMIN = "admin@demo-org.com"
DEVELOPER = "dev@demo-org.com"
PLATFORM_ADMIN = "platform@ainexus.local"

_TOKEN_CACHE_S = 600
"""The seconds for which a token is reused. Tokens are valid for 900 s."""


@dataclass
class Mesh:
    """A deployed and seeded mesh, with access to its API and its AWS resources."""

    environ: dict[str, str]
    target: Target
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict[str, tuple[float, str]])
    _signing_in: Lock = field(default_factory=Lock)
    """A sign-in sets a new password, so that two at the same time would invalidate each other."""

    @property
    def clients(self) -> AwsClients:
        """AWS clients of its engine."""
        return self.target.clients

    @property
    def outputs(self) -> dict[str, str]:
        """All outputs of its stacks."""
        return self.target.outputs

    @property
    def api(self) -> str:
        """The URL of its API, with the stage."""
        return self.outputs["ApiEndpoint"]

    @property
    def engine(self) -> Engine:
        """Its engine."""
        return self.target.mesh.engine

    @property
    def engine_process(self) -> EngineRecord:
        """The engine's process."""
        engine_record = record.read(self.target.mesh.home.engine_record)
        assert engine_record, "the engine does not run"
        return engine_record

    def token(self, email: str = ADMIN) -> str:
        """Return an id token of a user."""
        with self._signing_in:
            cached_at, token = self._tokens.get(email, (0.0, ""))
            if time.monotonic() - cached_at > _TOKEN_CACHE_S or not token:
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
        """Send a request to the API.

        Args:
            method: `GET`, `POST`, …
            path: the path below the stage, for example `/v1/health`.
            body: the body, sent as JSON.
            user: the email address of the caller. None for a request without a token.
            token: the token to send instead of the user's.
            headers: additional headers.
        """
        bearer = token or (self.token(user) if user else None)
        return send(ApiRequest(method, f"{self.api}{path}", body, headers or {}, bearer))

    def restart(self) -> None:
        """Stop and start the mesh, as `down` and `up` of the command line do."""
        self.target.mesh.down()
        self.up()

    def up(self) -> None:
        """Start the stopped processes and deploy all changes."""
        self.target.mesh.up()
        # Clients and outputs are read again, because the old ones can be stale.
        self.target = Target("local", environ=self.environ)


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Provide the mesh of this session."""
    with running_mesh(lambda: tmp_path_factory.mktemp("mesh")) as mesh:
        yield mesh


@contextmanager
def running_mesh(new_folder: Callable[[], Path]) -> Generator[Mesh]:
    """Start and seed a mesh, and stop it afterwards.

    Args:
        new_folder: the function that creates an empty folder for its state. It is not called if `AINEXUS_TEST_HOME`
            is set: that mesh is used unchanged and keeps running.
    """
    named = os.environ.get("AINEXUS_TEST_HOME")
    environ = _environ(Path(named) if named else new_folder())
    mesh = Mesh(environ, Target("local", environ=environ))
    try:
        mesh.up()
        seed_mesh(mesh.target, temporary_password=new_password())
        yield mesh
    finally:
        if not named:
            mesh.target.mesh.down()


def _environ(home: Path) -> dict[str, str]:
    """Return the mesh's environment, with a free port or that of its engine."""
    engine_record = record.read(home / "engine.json")
    port = engine_record.port if engine_record and engine_record.is_running else free_port()
    return {**os.environ, "AINEXUS_HOME": str(home), "AINEXUS_PORT": str(port)}
