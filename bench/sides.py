"""The sides that are measured: what is asked of each, and what it takes in the round."""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from bench import machine
from bench.client import Client
from bench.mesh import Mesh
from bench.peer import KEY, Peer
from bench.upstream import TAKES_S, WORDS

_MESSAGE = "Hello, world! This is a test."


@dataclass
class Side:
    """One thing that is asked again and again, and what was seen of it."""

    name: str
    clients: Sequence[Client]
    """They ask at the same time, one request after the other each."""
    body: Mapping[str, Any]
    cpu_ms: Callable[[], Counter[str]]
    provider_s: float
    """What the provider alone takes."""
    check: Callable[[bytes], bool]
    settle: Callable[[int], None] = lambda _asked: None
    """Waits until all that was asked for so far is done."""
    calls: Callable[[], Counter[str]] = Counter
    asked: int = 0
    rounds: list[float] = field(default_factory=list[float])
    """CPU ms for each request, round by round."""
    cpu_of: list[Counter[str]] = field(default_factory=list[Counter[str]])
    """The same by process."""
    calls_of: Counter[str] = field(default_factory=Counter[str])

    def warm(self, requests: int) -> None:
        """Ask without measuring, so often by each client: those that ask together need functions that run together."""
        self._ask(requests * len(self.clients))
        for client in self.clients:
            client.seconds.clear()

    def measure(self, requests: int) -> None:
        """One round."""
        cpu, calls = self.cpu_ms(), self.calls()
        self._ask(requests)
        took = self.cpu_ms() - cpu
        self.rounds.append(took.total() / requests)
        self.cpu_of.append(Counter({name: ms / requests for name, ms in took.items()}))
        self.calls_of += self.calls() - calls

    def _ask(self, requests: int) -> None:
        each = requests // len(self.clients)
        with ThreadPoolExecutor(len(self.clients)) as pool:
            list(pool.map(self._ask_by, self.clients, [each] * len(self.clients)))
        self.asked += each * len(self.clients)
        self.settle(self.asked)

    def _ask_by(self, client: Client, requests: int) -> None:
        client.renew()
        for _ in range(requests):
            said = client.post(self.body)
            if not self.check(said):
                msg = f"{self.name} answered {said[:500]!r}"
                raise RuntimeError(msg)

    def results(self) -> dict[str, Any]:
        """In numbers."""
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
        """CPU ms for each request in the median round, the most first."""
        names = {name for one in self.cpu_of for name in one}
        medians = Counter({name: statistics.median(one[name] for one in self.cpu_of) for name in names})
        return {name: round(ms, 2) for name, ms in medians.most_common() if ms}


def of_mesh(
    stack: ExitStack,
    mesh: Mesh,
    name: str,
    *,
    provider_s: float,
    together: int = 1,
    **config: Any,  # noqa: ANN401 — any field of a config
) -> Side:
    """A waited run of ours, from the request to the counted usage; `together` are asked for at the same time."""
    agent_id = mesh.agent(**config)
    headers = {"Authorization": f"Bearer {mesh.token}", "Prefer": "wait=25"}
    return Side(
        name,
        [stack.enter_context(Client(f"{mesh.tenant_url}/runs", headers)) for _ in range(together)],
        {"agent_id": agent_id, "inputs": {"message": _MESSAGE}},
        cpu_ms=mesh.cpu_ms,
        provider_s=provider_s,
        check=lambda said: json.loads(said)["run"]["status"] == "completed",
        settle=lambda asked: mesh.wait_until_counted(agent_id, asked),
        calls=mesh.calls,
    )


def of_peer(stack: ExitStack, peer: Peer, name: str, *, stream: bool) -> Side:
    """A completion by the peer."""
    usage = {"stream_options": {"include_usage": True}} if stream else {}
    return Side(
        name,
        [stack.enter_context(Client(peer.url, {"Authorization": f"Bearer {KEY}"}))],
        {"model": "m", "messages": [{"role": "user", "content": _MESSAGE}], "stream": stream, **usage},
        cpu_ms=lambda: Counter({"proxy": int(machine.cpu_ms(machine.family(peer.pid)))}),
        provider_s=TAKES_S,
        check=lambda said: WORDS[-2].strip().encode() in said,
    )
