"""A local server with scripted responses, over connections that it keeps open or cuts."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
from botocore.config import Config

from shared.aws.client import Caller
from shared.aws.connection import Connections
from shared.aws.services import DynamoDB
from shared.aws.signing import Keys, Scope

KEYS = Keys("key", "secret", "token")


@dataclass(frozen=True)
class ScriptedResponse:
    """A scripted response."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: str = ""
    """When the server closes the connection: `before` the response, or `after` it without `Connection: close`."""
    pause_s: float = 0


@dataclass
class Server:
    """The state of the server: the scripted responses and the received requests."""

    url: str = ""
    responses: list[ScriptedResponse] = field(default_factory=list[ScriptedResponse])
    """The responses in order. The last one is repeated."""
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list[tuple[str, dict[str, str], bytes]])
    methods: list[str] = field(default_factory=list[str])
    connections: set[int] = field(default_factory=set[int])
    pauses: list[float] = field(default_factory=list[float])
    """The seconds that its clients have waited between attempts."""

    open_connections: list[Connections] = field(default_factory=list[Connections])

    def caller(
        self,
        service: str = "dynamodb",
        *,
        keys: Callable[[], Keys] = lambda: KEYS,
        attempts: int = 3,
        read_timeout_s: float = 5,
    ) -> Caller:
        """Return a caller of this server."""
        connections = Connections(self.url, connect_timeout_s=5, read_timeout_s=read_timeout_s)
        self.open_connections.append(connections)
        scope = Scope(service, "us-east-2")
        return Caller(connections, scope=scope, keys=keys, attempts=attempts, sleep=self.pauses.append, draw=lambda: 1)

    def database(self, *, keys: Callable[[], Keys] = lambda: KEYS, attempts: int = 3) -> DynamoDB:
        """Return a DynamoDB client of this server."""
        return DynamoDB(self.caller(keys=keys, attempts=attempts))


@contextmanager
def botocore_client(url: str, service: str = "dynamodb") -> Generator[Any]:
    """Yield botocore's client of the same server."""
    session = botocore.session.Session()
    session.set_credentials(KEYS.access_key, KEYS.secret_key, KEYS.token)
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        parameter_validation=False,
        s3={"addressing_style": "path"},
    )
    client: Any = session.create_client(service, region_name="us-east-2", endpoint_url=url, config=config)
    yield client
    client.close()


@contextmanager
def start_server(*responses: ScriptedResponse) -> Generator[Server]:
    """Start a server with these responses."""
    state, stopped = Server(responses=list(responses)), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.methods.append(self.command)
            response = state.responses[min(len(state.received), len(state.responses) - 1)]
            state.received.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            state.connections.add(self.client_address[1])
            stopped.wait(response.pause_s)
            self.close_connection = bool(response.cut)
            if response.cut == "before":
                return
            with suppress(ConnectionError):  # The client has timed out.
                self._respond(response)

        do_GET = do_PUT = do_POST  # noqa: N815 — as its base has it

        def _respond(self, response: ScriptedResponse) -> None:
            self.send_response(response.status)
            for name, value in {**response.headers, "Content-Length": str(len(response.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — as its base has it
            """Suppress the log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            for connections in state.open_connections:
                connections.close()
            stopped.set()
            server.shutdown()
            thread.join()
