"""A server on this machine that answers as it is told, over connections that it keeps or cuts."""

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
class Told:
    """One answer."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: str = ""
    """`before` anything is answered, or `after` the answer without saying so."""
    pause_s: float = 0


@dataclass
class Server:
    """What it will answer, and what it has heard."""

    url: str = ""
    answers: list[Told] = field(default_factory=list[Told])
    """One after the other; the last one is given for ever."""
    heard: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list[tuple[str, dict[str, str], bytes]])
    methods: list[str] = field(default_factory=list[str])
    connections: set[int] = field(default_factory=set[int])
    pauses: list[float] = field(default_factory=list[float])
    """How long its clients have waited between tries."""

    opened: list[Connections] = field(default_factory=list[Connections])

    def caller(
        self,
        service: str = "dynamodb",
        *,
        keys: Callable[[], Keys] = lambda: KEYS,
        attempts: int = 3,
        read_timeout_s: float = 5,
    ) -> Caller:
        """Calls it."""
        connections = Connections(self.url, connect_timeout_s=5, read_timeout_s=read_timeout_s)
        self.opened.append(connections)
        scope = Scope(service, "us-east-2")
        return Caller(connections, scope=scope, keys=keys, attempts=attempts, sleep=self.pauses.append, draw=lambda: 1)

    def database(self, *, keys: Callable[[], Keys] = lambda: KEYS, attempts: int = 3) -> DynamoDB:
        """Takes it for DynamoDB."""
        return DynamoDB(self.caller(keys=keys, attempts=attempts))


@contextmanager
def by_botocore(url: str, service: str = "dynamodb") -> Generator[Any]:
    """Botocore's client for the same server."""
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
def serving(*answers: Told) -> Generator[Server]:
    """A server with these answers."""
    told, over = Server(answers=list(answers)), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.methods.append(self.command)
            answer = told.answers[min(len(told.heard), len(told.answers) - 1)]
            told.heard.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            told.connections.add(self.client_address[1])
            over.wait(answer.pause_s)
            self.close_connection = bool(answer.cut)
            if answer.cut == "before":
                return
            with suppress(ConnectionError):  # Who did not wait for it is gone.
                self._answer(answer)

        do_GET = do_PUT = do_POST  # noqa: N815 — as its base has it

        def _answer(self, answer: Told) -> None:
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — as its base has it
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        told.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield told
        finally:
            for connections in told.opened:
                connections.close()
            over.set()
            server.shutdown()
            thread.join()
