"""The compared clients do the same."""

from bench.connections.__main__ import serving
from bench.connections.clients import CLIENTS
from bench.connections.shapes import SHAPES


class TestClients:
    def test_receive_the_same_response_and_keep_the_connection(self) -> None:
        with serving("http") as url:
            for new in CLIENTS.values():
                client = new(url)
                for shape in SHAPES * 2:
                    reply = client.send("POST", "/", shape.headers(url.partition("//")[2]), shape.request)
                    assert (reply.status, reply.body) == (200, shape.response)
                    assert reply.headers["x-amz-crc32"] == "2745614147"
                client.close()
