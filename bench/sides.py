"""The sides that are measured: their requests and their results."""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from bench import machine
from bench.client import ApiClient
from bench.mesh import MeasuredMesh
from bench.peer import KEY, Peer
from bench.upstream import RESPONSE_S, WORDS

_MESSAGE = "Hello, world! This is a test."


@dataclass
class Side:
    """A request that is sent repeatedly, and its measurements."""

    name: str
    clients: Sequence[ApiClient]
    """The clients send at the same time, each one request after the other."""
    body: Mapping[str, Any]
    cpu_ms: Callable[[], Counter[str]]
    provider_s: float
    """The provider's part of the response time."""
    check: Callable[[bytes], bool]
    settle: Callable[[int], None] = lambda _asked: None
    """Waits until all requests so far are processed completely."""
    calls: Callable[[], Counter[str]] = Counter
    request_count: int = 0
    rounds: list[float] = field(default_factory=list[float])
    """CPU ms per request, by round."""
    cpu_of: list[Counter[str]] = field(default_factory=list[Counter[str]])
    """CPU ms per request and process, by round."""
    calls_of: Counter[str] = field(default_factory=Counter[str])

    def warm(self, requests: int) -> None:
        """Send this number of requests by each client without measuring.

        All clients take part, because simultaneous requests need functions that run at the same time.
        """
        self._send_all(requests * len(self.clients))
        for client in self.clients:
            client.seconds.clear()

    def measure(self, requests: int) -> None:
        """Measure one round."""
        cpu, calls = self.cpu_ms(), self.calls()
        self._send_all(requests)
        took = self.cpu_ms() - cpu
        self.rounds.append(took.total() / requests)
        self.cpu_of.append(Counter({name: ms / requests for name, ms in took.items()}))
        self.calls_of += self.calls() - calls

    def _send_all(self, requests: int) -> None:
        each = requests // len(self.clients)
        with ThreadPoolExecutor(len(self.clients)) as pool:
            list(pool.map(self._send, self.clients, [each] * len(self.clients)))
        self.request_count += each * len(self.clients)
        self.settle(self.request_count)

    def _send(self, client: ApiClient, requests: int) -> None:
        client.renew()
        for _ in range(requests):
            body = client.post(self.body)
            if not self.check(body):
                msg = f"{self.name} answered {body[:500]!r}"
                raise RuntimeError(msg)

    def results(self) -> dict[str, Any]:
        """Return the results as numbers."""
        overhead = [(seconds - self.provider_s) * 1_000 for client in self.clients for seconds in client.seconds]
        measured = len(overhead)
        cuts = statistics.quantiles(overhead, n=20)
        return {
            "requests": measured,
            "cpu_ms": round(statistics.median(self.rounds), 1),
            "cpu_ms_by_round": [round(one, 1) for one in self.rounds],
            "cpu_ms_by_process": self._cpu_by_process(),
            "overhead_ms_p50": round(statistics.median(overhead), 1),
            "overhead_ms_p95": round(cuts[-1], 1),
            "aws_calls": round(self.calls_of.total() / measured, 2),
            "aws_calls_by_operation": {name: round(n / measured, 2) for name, n in self.calls_of.most_common()},
        }

    def _cpu_by_process(self) -> dict[str, float]:
        """Return the median CPU ms per request of each process, in descending order."""
        names = {name for one in self.cpu_of for name in one}
        medians = Counter({name: statistics.median(one[name] for one in self.cpu_of) for name in names})
        return {name: round(ms, 2) for name, ms in medians.most_common() if ms}


def of_mesh(
    stack: ExitStack,
    mesh: MeasuredMesh,
    name: str,
    *,
    provider_s: float,
    together: int = 1,
    **config: Any,  # noqa: ANN401 — any field of a config
) -> Side:
    """Return the side of a waited run, from the request to the counted usage.

    `together` is the number of simultaneous requests.
    """
    agent_id = mesh.agent(**config)
    headers = {"Authorization": f"Bearer {mesh.token}", "Prefer": "wait=25"}
    return Side(
        name,
        [stack.enter_context(ApiClient(f"{mesh.tenant_url}/runs", headers)) for _ in range(together)],
        {"agent_id": agent_id, "inputs": {"message": _MESSAGE}},
        cpu_ms=mesh.cpu_ms,
        provider_s=provider_s,
        check=lambda body: json.loads(body)["run"]["status"] == "completed",
        settle=lambda request_count: mesh.wait_until_counted(agent_id, request_count),
        calls=mesh.calls,
    )


def of_peer(stack: ExitStack, peer: Peer, name: str, *, stream: bool) -> Side:
    """Return the side of a completion by the peer."""
    usage = {"stream_options": {"include_usage": True}} if stream else {}
    return Side(
        name,
        [stack.enter_context(ApiClient(peer.url, {"Authorization": f"Bearer {KEY}"}))],
        {"model": "m", "messages": [{"role": "user", "content": _MESSAGE}], "stream": stream, **usage},
        cpu_ms=lambda: Counter({"proxy": int(machine.cpu_ms(machine.family(peer.pid)))}),
        provider_s=RESPONSE_S,
        check=lambda body: WORDS[-2].strip().encode() in body,
    )
