"""Connections parse responses that arrive in pieces, down to single bytes."""

import socket
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pytest
from botocore.exceptions import ConnectionClosedError

from shared.aws.connection import Connections, Reply

WITH_LENGTH = b"HTTP/1.1 200 OK\r\nX-Amz-Crc32: 1\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"


@contextmanager
def server_sending(*pieces: bytes) -> Generator[Connections]:
    """Yield connections to a server that sends these pieces in response to one request, then closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while not connection.recv(65_536).endswith(b"{}"):
                    pass
                for piece in pieces:
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        connections = Connections(f"http://127.0.0.1:{server.getsockname()[1]}", connect_timeout_s=5, read_timeout_s=5)
        try:
            yield connections
        finally:
            connections.close()
            thread.join()


def send(connections: Connections) -> Reply:
    """Send one request."""
    return connections.send("POST", "/", {"host": connections.host}, b"{}")


def single_bytes(response: bytes) -> Sequence[bytes]:
    """Split a response into single bytes."""
    return [response[offset : offset + 1] for offset in range(len(response))]


@pytest.mark.parametrize("response", [WITH_LENGTH, CHUNKED])
def test_parses_a_response_in_any_pieces(response: bytes) -> None:
    for pieces in ([response], single_bytes(response)):
        with server_sending(*pieces) as connections:
            reply = send(connections)
            assert (reply.status, reply.body) == (200, b"hello")


def test_returns_header_names_in_lower_case() -> None:
    with server_sending(WITH_LENGTH) as connections:
        assert send(connections).headers["x-amz-crc32"] == "1"


@pytest.mark.parametrize("response", [WITH_LENGTH, CHUNKED])
def test_raises_if_the_response_is_truncated(response: bytes) -> None:
    for length in (0, 10, response.index(b"\r\n\r\n"), len(response) - 1):
        with server_sending(response[:length]) as connections, pytest.raises(ConnectionClosedError):
            send(connections)


@pytest.mark.parametrize(
    "response", [b"\x00\x01", b"220 mail ready\r\n", WITH_LENGTH + WITH_LENGTH, WITH_LENGTH + b"more"]
)
def test_raises_if_the_bytes_are_not_exactly_one_response(response: bytes) -> None:
    with server_sending(response) as connections, pytest.raises(ConnectionClosedError):
        send(connections)


def test_closes_the_connection_if_the_response_requires_it() -> None:
    with server_sending(WITH_LENGTH.replace(b"X-Amz-Crc32: 1", b"Connection: close")) as connections:
        send(connections)
        assert not connections._idle  # pyright: ignore[reportPrivateUsage]


INJECTED_HEADER = "x-amz-target: other"


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize(("name", "value"), [("x{}" + INJECTED_HEADER, "1"), ("x", "1{}" + INJECTED_HEADER)])
def test_refuses_a_header_with_a_line_break(name: str, value: str, end: str) -> None:
    headers = {name.format(end): value.format(end)}
    with pytest.raises(ValueError, match="more than one line"):
        Connections("http://127.0.0.1:1", connect_timeout_s=1, read_timeout_s=1).send("POST", "/", headers, b"")
