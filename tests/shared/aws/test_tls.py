"""Connections are encrypted, and the server's certificate is verified."""

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
    """Create a self-signed certificate for 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = utc_now()
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, unencrypted = serialization.Encoding.PEM, serialization.NoEncryption()
    path = folder / "both.pem"
    path.write_bytes(signed.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unencrypted))
    return path


class Handler(BaseHTTPRequestHandler):
    """A handler that responds to any request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Respond with a body of 5 bytes."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — as its base has it
        """Suppress the log."""


@pytest.fixture(name="server")
def serve(tmp_path: Path) -> Generator[tuple[str, Path]]:
    """Yield the server's URL and its certificate."""
    certificate_path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}", certificate_path
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def clear_trusted_authorities() -> Generator[None]:
    """Clear the cache of trusted authorities, which are read once per process."""
    connection._verifying.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield
    connection._verifying.cache_clear()  # pyright: ignore[reportPrivateUsage]


def send(url: str) -> bytes:
    """Send two requests over one connection."""
    connections = Connections(url, connect_timeout_s=5, read_timeout_s=5)
    try:
        bodies = {connections.send("POST", "/", {"host": connections.host}, b"{}").body for _ in range(2)}
        assert len(connections._idle) == 1  # pyright: ignore[reportPrivateUsage]
        return bodies.pop()
    finally:
        connections.close()


def assert_not_trusted(url: str) -> None:
    """Assert that the certificate prevents a connection."""
    with pytest.raises(EndpointConnectionError) as caught:
        send(url)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


def test_accepts_a_trusted_certificate(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, certificate_path = server
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate_path))
    assert send(url) == b"hello"


def test_refuses_an_untrusted_certificate(server: tuple[str, Path]) -> None:
    assert_not_trusted(server[0])


def test_refuses_a_certificate_for_another_host(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, certificate_path = server
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate_path))
    assert_not_trusted(url.replace("127.0.0.1", "localhost"))
