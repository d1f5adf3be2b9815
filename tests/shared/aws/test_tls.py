"""Connections that are encrypted, to somebody who is who the name says."""

import ipaddress
import ssl
import threading
from collections.abc import Generator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.aws import connection
from shared.aws.connection import Connections
from shared.times import utc_now


def certificate(folder: Path) -> Path:
    """One for 127.0.0.1, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = utc_now()
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = folder / "both.pem"
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return path


class Handler(BaseHTTPRequestHandler):
    """Says hello."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer any request."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — as its base has it
        """Say nothing."""


@pytest.fixture(name="server")
def serve(tmp_path: Path) -> Generator[tuple[str, Path]]:
    """Where it is, and who vouches for it."""
    both = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}", both
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def forget_authorities() -> Generator[None]:
    """Who is trusted is read once in a process."""
    connection._verifying.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield
    connection._verifying.cache_clear()  # pyright: ignore[reportPrivateUsage]


def send(url: str) -> bytes:
    """Two requests over one connection."""
    connections = Connections(url, connect_timeout_s=5, read_timeout_s=5)
    try:
        bodies = {connections.send("POST", "/", {"host": connections.host}, b"{}").body for _ in range(2)}
        assert len(connections._idle) == 1  # pyright: ignore[reportPrivateUsage]
        return bodies.pop()
    finally:
        connections.close()


def assert_not_trusted(url: str) -> None:
    """No connection is made, because of the certificate."""
    with pytest.raises(EndpointConnectionError) as caught:
        send(url)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


def test_an_answer_of_somebody_who_is_vouched_for_is_read(
    server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, both = server
    monkeypatch.setenv("SSL_CERT_FILE", str(both))
    assert send(url) == b"hello"


def test_nothing_is_sent_to_anybody_else(server: tuple[str, Path]) -> None:
    assert_not_trusted(server[0])


def test_nor_under_another_name(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, both = server
    monkeypatch.setenv("SSL_CERT_FILE", str(both))
    assert_not_trusted(url.replace("127.0.0.1", "localhost"))
