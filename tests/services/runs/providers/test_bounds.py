"""Limits of size and time for responses of hostile servers."""

import gzip
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress

import httpx2
import pytest

from services.runs.errors import ProviderFailed
from services.runs.providers.gateway.addresses import Addresses
from services.runs.providers.gateway.bounds import ImplausibleResponse, WireLimits, bounded
from services.runs.providers.gateway.models import ProviderModels
from services.runs.providers.gateway.transport import Transport, http_client, timeouts
from tests.services.runs.providers.adapters import (
    CHAT,
    MESSAGES,
    RESPONSES,
    Adapter,
    answered,
    framed,
    frames,
    receive,
    request,
)
from tests.services.runs.providers.server import ProviderServer, Reply

OVER_HTTP = pytest.mark.parametrize("adapter", [CHAT, RESPONSES, MESSAGES], ids=str)
KIB, MIB = 1024, 1024 * 1024


class Pieces(httpx2.SyncByteStream):
    """A body in these pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces
        self.read = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.read += len(piece)
            yield piece


def read(pieces: Sequence[bytes], *, status: int = 200) -> bytes:
    """Return everything that is read of such a body."""
    return b"".join(bounded(httpx2.Response(status, stream=Pieces(pieces))).iter_raw())


@OVER_HTTP
class TestHostileServers:
    def test_stops_reading_a_long_error(self, server: ProviderServer, models: ProviderModels, adapter: Adapter) -> None:
        server.add_replies(Reply([b"x" * 64 * KIB] * 200, status=429))
        received = receive(models, request(adapter, server.url))
        assert received.failure
        assert (received.failure.code, len(str(received.failure)) < 100) == ("ProviderRateLimited", True)
        assert server.received[-1].hung_up.wait(2)

    def test_ends_an_endless_event(self, server: ProviderServer, models: ProviderModels, adapter: Adapter) -> None:
        server.add_replies(framed(adapter, b"data: ", *[b"x" * 64 * KIB] * 200))
        received = receive(models, request(adapter, server.url))
        assert received.failure
        assert (received.failure.code, received.failure.usage_known) == ("StreamCorrupt", False)
        assert server.received[-1].hung_up.wait(2)

    def test_ends_an_event_with_countless_lines(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        server.add_replies(framed(adapter, *[b"data: x\n" * 8 * KIB] * 200))
        received = receive(models, request(adapter, server.url))
        assert received.failure
        assert received.failure.code == "StreamCorrupt"
        assert server.received[-1].hung_up.wait(2)

    def test_decompresses_nothing(self, server: ProviderServer, models: ProviderModels, adapter: Adapter) -> None:
        whole = b"".join(frames(adapter).all)
        packed = {"Content-Encoding": "gzip", "Content-Type": adapter.wire.content_type}
        server.add_replies(Reply([gzip.compress(whole)], headers=packed))
        received = receive(models, request(adapter, server.url))
        assert received.failure
        assert (received.failure.code, received.text) == ("StreamCorrupt", "")
        assert server.received[-1].headers["Accept-Encoding"] == "identity"

    def test_reports_a_compressed_error_by_its_status(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        bomb = gzip.compress(b"0" * 50 * MIB)
        server.add_replies(Reply([bomb], status=503, headers={"Content-Encoding": "gzip", "Retry-After": "3"}))
        received = receive(models, request(adapter, server.url))
        assert received.failure
        assert (received.failure.code, received.failure.retry_after_s) == ("ProviderUnavailable", 3)

    def test_reads_responses_within_bounds_completely(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        server.add_replies(answered(adapter))
        assert receive(models, request(adapter, server.url)).ended


class TestBounded:
    def test_ends_a_response_of_many_events_at_its_bound(self) -> None:
        event = b"data: " + b"x" * (64 * KIB - 8) + b"\n\n"
        body = Pieces([event] * 2_000)
        with pytest.raises(ImplausibleResponse):
            list(bounded(httpx2.Response(200, stream=body)).iter_raw())
        assert 64 * MIB < body.read <= 64 * MIB + 64 * KIB

    def test_reads_a_large_event(self) -> None:
        event = [b"data: ", *[b"x" * 64 * KIB] * 63, b"\n\n"]
        assert read(event * 3) == b"".join(event * 3)

    @pytest.mark.parametrize("values", [b"[],", b"{},", b"1,"])
    def test_does_not_decode_a_large_event_with_countless_values(self, values: bytes) -> None:
        pieces = [b"data: [", *[values * 10_000] * 10, b"0]\n\n"]
        body = bounded(httpx2.Response(200, stream=Pieces(pieces))).iter_raw()
        taken: list[bytes] = []
        with pytest.raises(ImplausibleResponse):
            taken += body
        assert sum(map(len, taken)) <= 64 * KIB

    def test_reads_a_large_event_whose_text_resembles_values(self) -> None:
        event = [b'data: {"text": "', *[b'[\\"{,' * 10_000] * 6, b'"}\n\n']
        assert read(event * 2) == b"".join(event * 2)

    def test_has_small_limits_for_a_small_cap(self) -> None:
        event = b"data: " + b"x" * (32 * KIB) + b"\n\n"
        body = Pieces([event] * 2_000)
        with pytest.raises(ImplausibleResponse):
            list(bounded(httpx2.Response(200, stream=body), WireLimits.of(100, request_bytes=0)).iter_raw())
        assert body.read < 2 * MIB

    @pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
    def test_detects_event_ends_across_pieces(self, end: bytes) -> None:
        event = b"data: x" + end
        for size in (1, 2, 3, 5, 7):
            whole = event * 2_000
            pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
            assert read(pieces) == whole

    def test_detects_many_lines_of_one_event_in_one_piece(self) -> None:
        with pytest.raises(ImplausibleResponse):
            read([b"data: x\n" * 1_001 + b"\n"])

    @pytest.mark.parametrize("status", [301, 400, 429, 500])
    def test_reads_the_beginning_of_an_error(self, status: int) -> None:
        assert len(read([b"x" * 10 * KIB] * 20, status=status)) == 64 * KIB


class TestDeadline:
    def test_covers_name_resolution(self) -> None:
        stuck = threading.Event()

        def resolve(_host: str, _port: int) -> Sequence[str]:
            stuck.wait(20)
            return []

        with closing(Transport(Addresses(resolve=resolve))) as transport, pytest.raises(httpx2.ConnectTimeout):
            http_client(transport).get("https://slow.example", timeout=timeouts(0.1))
        stuck.set()

    def test_propagates_a_refusal_from_name_resolution(self) -> None:
        addresses = Addresses(resolve=lambda _host, _port: ["10.0.0.1"])
        with closing(Transport(addresses)) as transport, pytest.raises(ProviderFailed, match="public"):
            http_client(transport).get("https://private.example", timeout=timeouts(1))

    def test_covers_header_bytes_that_arrive_slowly(self) -> None:
        def drip(connection: socket.socket, over: threading.Event) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.05):
                connection.sendall(b"X")

        self._times_out(drip, body=b"")

    def test_covers_a_request_that_is_read_slowly(self) -> None:
        taken = 0

        def sip(connection: socket.socket, over: threading.Event) -> None:
            nonlocal taken
            while not over.wait(0.005):
                taken += len(connection.recv(64 * KIB))

        self._times_out(sip, body=b"x" * 32 * MIB)
        assert taken < 24 * MIB

    def _times_out(self, serve: Callable[[socket.socket, threading.Event], None], *, body: bytes) -> None:
        with listening(serve) as url, closing(Transport(Addresses(allow_private=True))) as transport:
            client = http_client(transport)
            with pytest.raises(httpx2.TimeoutException):
                client.post(url, content=body, timeout=timeouts(0.4))


@contextmanager
def listening(serve: Callable[[socket.socket, threading.Event], None]) -> Generator[str]:
    """Start a server that handles one connection like this and stops after a few seconds."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                serve(connection, over)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        ended = threading.Timer(5, over.set)
        ended.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        ended.cancel()
        thread.join()
