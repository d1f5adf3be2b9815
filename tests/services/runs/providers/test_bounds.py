"""Servers that send too much, too slowly, or never end: what is read of them, and for how long."""

import gzip
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress

import httpx2
import pytest

from services.runs.errors import ProviderFailed
from services.runs.gateways.addresses import Addresses
from services.runs.gateways.bounds import NotBelieved, WireLimits, bounded
from services.runs.gateways.models import ProviderModels
from services.runs.gateways.transport import Transport, http_client, timeouts
from tests.services.runs.providers.server import ProviderServer, Reply
from tests.services.runs.providers.speakers import (
    CHAT,
    MESSAGES,
    RESPONSES,
    Speaker,
    answered,
    framed,
    frames,
    hear,
    request,
)

OVER_HTTP = pytest.mark.parametrize("speaker", [CHAT, RESPONSES, MESSAGES], ids=str)
KIB, MIB = 1024, 1024 * 1024


class Pieces(httpx2.SyncByteStream):
    """A body of these pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces
        self.read = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.read += len(piece)
            yield piece


def read(pieces: Sequence[bytes], *, status: int = 200) -> bytes:
    """All that is read of such a body."""
    return b"".join(bounded(httpx2.Response(status, stream=Pieces(pieces))).iter_raw())


@OVER_HTTP
class TestHostileServers:
    def test_the_rest_of_a_long_error_is_not_read(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        server.say(Reply([b"x" * 64 * KIB] * 200, status=429))
        heard = hear(models, request(speaker, server.url))
        assert heard.failure
        assert (heard.failure.code, len(str(heard.failure)) < 100) == ("ProviderRateLimited", True)
        assert server.received[-1].hung_up.wait(2)

    def test_an_event_without_an_end_is_given_up(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        server.say(framed(speaker, b"data: ", *[b"x" * 64 * KIB] * 200))
        heard = hear(models, request(speaker, server.url))
        assert heard.failure
        assert (heard.failure.code, heard.failure.usage_known) == ("StreamCorrupt", False)
        assert server.received[-1].hung_up.wait(2)

    def test_an_event_of_countless_lines_is_given_up(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        server.say(framed(speaker, *[b"data: x\n" * 8 * KIB] * 200))
        heard = hear(models, request(speaker, server.url))
        assert heard.failure
        assert heard.failure.code == "StreamCorrupt"
        assert server.received[-1].hung_up.wait(2)

    def test_nothing_is_unfolded(self, server: ProviderServer, models: ProviderModels, speaker: Speaker) -> None:
        whole = b"".join(frames(speaker).all)
        packed = {"Content-Encoding": "gzip", "Content-Type": speaker.wire.content_type}
        server.say(Reply([gzip.compress(whole)], headers=packed))
        heard = hear(models, request(speaker, server.url))
        assert heard.failure
        assert (heard.failure.code, heard.text) == ("StreamCorrupt", "")
        assert server.received[-1].headers["Accept-Encoding"] == "identity"

    def test_an_error_that_is_packed_is_told_by_its_status(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        bomb = gzip.compress(b"0" * 50 * MIB)
        server.say(Reply([bomb], status=503, headers={"Content-Encoding": "gzip", "Retry-After": "3"}))
        heard = hear(models, request(speaker, server.url))
        assert heard.failure
        assert (heard.failure.code, heard.failure.retry_after_s) == ("ProviderUnavailable", 3)

    def test_what_is_within_bounds_is_read_whole(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        server.say(answered(speaker))
        assert hear(models, request(speaker, server.url)).ended


class TestBounded:
    def test_an_answer_of_many_events_ends_at_its_bound(self) -> None:
        event = b"data: " + b"x" * (64 * KIB - 8) + b"\n\n"
        body = Pieces([event] * 2_000)
        with pytest.raises(NotBelieved):
            list(bounded(httpx2.Response(200, stream=body)).iter_raw())
        assert 64 * MIB < body.read <= 64 * MIB + 64 * KIB

    def test_a_large_event_is_read(self) -> None:
        event = [b"data: ", *[b"x" * 64 * KIB] * 63, b"\n\n"]
        assert read(event * 3) == b"".join(event * 3)

    @pytest.mark.parametrize("values", [b"[],", b"{},", b"1,"])
    def test_a_large_event_of_countless_values_is_not_decoded(self, values: bytes) -> None:
        pieces = [b"data: [", *[values * 10_000] * 10, b"0]\n\n"]
        body = bounded(httpx2.Response(200, stream=Pieces(pieces))).iter_raw()
        taken: list[bytes] = []
        with pytest.raises(NotBelieved):
            taken += body
        assert sum(map(len, taken)) <= 64 * KIB

    def test_a_large_event_whose_text_looks_like_values_is_read(self) -> None:
        event = [b'data: {"text": "', *[b'[\\"{,' * 10_000] * 6, b'"}\n\n']
        assert read(event * 2) == b"".join(event * 2)

    def test_a_small_cap_has_small_limits(self) -> None:
        event = b"data: " + b"x" * (32 * KIB) + b"\n\n"
        body = Pieces([event] * 2_000)
        with pytest.raises(NotBelieved):
            list(bounded(httpx2.Response(200, stream=body), WireLimits.of(100, request_bytes=0)).iter_raw())
        assert body.read < 2 * MIB

    @pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
    def test_events_end_in_whatever_way_and_wherever_they_are_cut(self, end: bytes) -> None:
        event = b"data: x" + end
        for size in (1, 2, 3, 5, 7):
            whole = event * 2_000
            pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
            assert read(pieces) == whole

    def test_many_lines_of_one_event_in_one_piece_are_seen(self) -> None:
        with pytest.raises(NotBelieved):
            read([b"data: x\n" * 1_001 + b"\n"])

    @pytest.mark.parametrize("status", [301, 400, 429, 500])
    def test_of_an_error_the_beginning_is_read(self, status: int) -> None:
        assert len(read([b"x" * 10 * KIB] * 20, status=status)) == 64 * KIB


class TestEndInTime:
    def test_a_name_that_is_not_resolved_in_time(self) -> None:
        stuck = threading.Event()

        def resolve(_host: str, _port: int) -> Sequence[str]:
            stuck.wait(20)
            return []

        with closing(Transport(Addresses(resolve=resolve))) as transport, pytest.raises(httpx2.ConnectTimeout):
            http_client(transport).get("https://slow.example", timeout=timeouts(0.1))
        stuck.set()

    def test_a_refusal_is_told_from_where_names_are_resolved(self) -> None:
        addresses = Addresses(resolve=lambda _host, _port: ["10.0.0.1"])
        with closing(Transport(addresses)) as transport, pytest.raises(ProviderFailed, match="public"):
            http_client(transport).get("https://private.example", timeout=timeouts(1))

    def test_a_drip_of_header_bytes_does_not_outlast_the_timeout(self) -> None:
        def drip(connection: socket.socket, over: threading.Event) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.05):
                connection.sendall(b"X")

        self._times_out(drip, body=b"")

    def test_a_request_that_is_taken_in_sips_does_not_outlast_the_timeout(self) -> None:
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
    """A server that does this with its one connection; it gives up by itself after a few seconds."""
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
