"""What comes over a connection, byte by byte."""

import socket
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pytest
from botocore.exceptions import ConnectionClosedError

from shared.aws.connection import Connections, Reply

WHOLE = b"HTTP/1.1 200 OK\r\nX-Amz-Crc32: 1\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"


@contextmanager
def answering(*pieces: bytes) -> Generator[Connections]:
    """Connections to somebody who answers one request with these pieces, then ends the connection."""
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
        made = Connections(f"http://127.0.0.1:{server.getsockname()[1]}", connect_timeout_s=5, read_timeout_s=5)
        try:
            yield made
        finally:
            made.close()
            thread.join()


def send(connections: Connections) -> Reply:
    """One request."""
    return connections.send("POST", "/", {"host": connections.host}, b"{}")


def singly(answer: bytes) -> Sequence[bytes]:
    """Its bytes, one by one."""
    return [answer[place : place + 1] for place in range(len(answer))]


@pytest.mark.parametrize("answer", [WHOLE, CHUNKED])
def test_an_answer_may_come_in_any_pieces(answer: bytes) -> None:
    for pieces in ([answer], singly(answer)):
        with answering(*pieces) as connections:
            reply = send(connections)
            assert (reply.status, reply.body) == (200, b"hello")


def test_names_of_headers_are_in_lower_case() -> None:
    with answering(WHOLE) as connections:
        assert send(connections).headers["x-amz-crc32"] == "1"


@pytest.mark.parametrize("answer", [WHOLE, CHUNKED])
def test_one_that_ends_early_is_none(answer: bytes) -> None:
    for length in (0, 10, answer.index(b"\r\n\r\n"), len(answer) - 1):
        with answering(answer[:length]) as connections, pytest.raises(ConnectionClosedError):
            send(connections)


@pytest.mark.parametrize("answer", [b"\x00\x01", b"220 mail ready\r\n", WHOLE + WHOLE, WHOLE + b"more"])
def test_what_is_not_one_answer_is_none(answer: bytes) -> None:
    with answering(answer) as connections, pytest.raises(ConnectionClosedError):
        send(connections)


def test_one_that_is_the_last_of_its_connection_closes_it() -> None:
    with answering(WHOLE.replace(b"X-Amz-Crc32: 1", b"Connection: close")) as connections:
        send(connections)
        assert not connections._idle  # pyright: ignore[reportPrivateUsage]


OTHER = "x-amz-target: other"


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize(("name", "value"), [("x{}" + OTHER, "1"), ("x", "1{}" + OTHER)])
def test_a_header_of_two_lines_is_not_sent(name: str, value: str, end: str) -> None:
    headers = {name.format(end): value.format(end)}
    with pytest.raises(ValueError, match="more than one line"):
        Connections("http://127.0.0.1:1", connect_timeout_s=1, read_timeout_s=1).send("POST", "/", headers, b"")
