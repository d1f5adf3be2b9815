"""A child process with limits of its own for work on untrusted input, so that it cannot block or exhaust this one.

The child has no credentials and no environment variables except module paths. It is reused until a call exceeds a
limit: then it is killed, that call alone fails, and the next call starts another child. The processes communicate over
a pair of sockets, because Lambda has no shared memory for the queues of `multiprocessing`.
"""

import atexit
import importlib
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

_LENGTH = struct.Struct(">I")
_PATHS = ("PYTHONPATH", "LD_LIBRARY_PATH")
"""Environment variables that the interpreter needs to find itself and its modules."""


class LimitExceeded(Exception):
    """The child exceeded its CPU, memory or time limit and was killed."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """The limits of one call."""

    cpu_s: float
    memory_bytes: int
    """The address space of the child, including its interpreter (35 MB)."""
    wall_s: float
    """The maximum wait for the socket. It must be much longer than `cpu_s`, since other work may use the processor."""


class Sandbox:
    """A child process that runs a module's `respond(request: bytes) -> bytes`, one call at a time.

    Args:
        module: the module to import in the child.
        limits: the limits of each call.
    """

    def __init__(self, module: str, limits: ProcessLimits) -> None:
        self._module = module
        self._limits = limits
        self._lock = threading.Lock()
        self._child: _Child | None = None
        atexit.register(self.close)

    def call(self, request: bytes) -> bytes:
        """Return the response of the child.

        Raises:
            LimitExceeded: the call exceeded a limit.
        """
        with self._lock:
            child = self._child or _Child(self._module, self._limits)
            self._child = None
            try:
                response = child.exchange(request, within_s=self._limits.wall_s)
            except BaseException:
                child.kill()
                raise
            self._child = child
            return response

    def close(self) -> None:
        """Kill the child. The next call starts another one."""
        with self._lock:
            if self._child:
                self._child.kill()
            self._child = None


class _Child:
    """A process, and this end of its pair of sockets."""

    def __init__(self, module: str, limits: ProcessLimits) -> None:
        self._socket, theirs = socket.socketpair()
        arguments = [module, str(limits.cpu_s), str(limits.memory_bytes)]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 — our own interpreter and module
                [sys.executable, "-S", "-B", "-m", __name__, *arguments],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )

    def exchange(self, request: bytes, *, within_s: float) -> bytes:
        try:
            self._socket.settimeout(within_s)
            self._socket.sendall(_LENGTH.pack(len(request)) + request)
            return _receive(self._socket)
        except (OSError, EOFError) as error:
            raise LimitExceeded from error

    def kill(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PATHS if name in os.environ}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _receive(connection: socket.socket) -> bytes:
    [length] = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        part = connection.recv(min(size - len(received), 1024 * 1024))
        if not part:
            raise EOFError
        received += part
    return bytes(received)


def _serve(connection: socket.socket, respond: Callable[[bytes], bytes], cpu_s: float) -> None:
    """Respond until the other end is closed. The timer's signal kills the process at the CPU limit of a request."""
    with suppress(EOFError):
        while True:
            request = _receive(connection)
            signal.setitimer(signal.ITIMER_PROF, cpu_s)
            response = respond(request)
            signal.setitimer(signal.ITIMER_PROF, 0)
            connection.sendall(_LENGTH.pack(len(response)) + response)


def _main(module: str, cpu_s: str, memory_bytes: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_bytes), int(memory_bytes)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=0) as connection:
        _serve(connection, importlib.import_module(module).respond, float(cpu_s))


if __name__ == "__main__":
    _main(*sys.argv[1:])
