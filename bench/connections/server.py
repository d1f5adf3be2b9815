"""DynamoDB's side, in a process of its own to separate its CPU: `python -m bench.connections.server [certificate]`.

It prints its port and sends a constant response to each operation over connections that it keeps open.
"""

import socket
import ssl
import sys
import threading
from collections.abc import Mapping

from bench.connections.shapes import SHAPES, TARGET


def main(certificate: str | None) -> None:
    """Serve until the process is ended."""
    context: ssl.SSLContext | None = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    responses = {f"{TARGET}.{shape.operation}\r\n".encode(): shape.wire_response for shape in SHAPES}
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_serve, args=(connection, context, responses), daemon=True).start()


def _serve(accepted: socket.socket, context: ssl.SSLContext | None, responses: Mapping[bytes, bytes]) -> None:
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with context.wrap_socket(accepted, server_side=True) if context else accepted as connection:
        received = b""
        while piece := connection.recv(65_536):
            received += piece
            head, end, body = received.partition(b"\r\n\r\n")
            head = head.lower() + b"\r\n"
            if not end or len(body) < int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]):
                continue
            connection.sendall(next(one for name, one in responses.items() if name.lower() in head))
            received = b""


if __name__ == "__main__":
    main(*sys.argv[1:] or [None])
