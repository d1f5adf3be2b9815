"""Scenarios of clients, workers and the reaper, by name. Each can be killed at every step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from services.runs.errors import ProviderFailed
from services.runs.runs.domain.conversation import ToolCall
from services.runs.runs.domain.run import Status
from tests.services.runs.kills.functions import Functions
from tests.services.runs.kills.provider import Script

BUSY = Script((), refused=ProviderFailed("ProviderUnavailable", "Not now.", retry=True))
CUT = Script(("a", "b", ProviderFailed("StreamTruncated", "Cut.", retry=True, usage_known=False)))
ANSWER = Script(("Hel", "lo"))
ASKS = Script(("Let me see.",), (ToolCall("call_a", "weather", "{}"), ToolCall("call_b", "weather", "{}")))
OUTPUTS = {"call_a": "rain", "call_b": "sun"}
LARGE = 70_000
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

Hook = Callable[[], object]


@dataclass(frozen=True)
class Scenario:
    """One run without a crash.

    Args:
        act: performs the scenario.
        scripts: returns the scripts of the provider's calls, whose pieces may cause events.
        ends: the run's final status without a crash.
        config: additional fields of the agent's config.
        has_client: whether a client continues and submits the outputs of tools.
        rounds_take: the time between two passes of the reaper after the scenario.
        concurrent_runs: the number of concurrent runs that the tenant's plan allows.
        runs: the number of runs without a crash.
    """

    act: Callable[[Functions], None]
    scripts: Callable[[Callable[[], Functions]], Sequence[Script]]
    ends: Status | None = Status.COMPLETED
    config: Mapping[str, object] = field(default_factory=dict[str, object])
    has_client: bool = True
    rounds_take: timedelta = timedelta(minutes=20)
    concurrent_runs: int = 50
    runs: int = 1


def _always(*scripts: Script) -> Callable[[Callable[[], Functions]], Sequence[Script]]:
    return lambda _: scripts


def _in_background(functions: Functions) -> None:
    functions.post()
    _go_on(functions)


def _go_on(functions: Functions) -> None:
    functions.publish()
    functions.work()


def _waited(functions: Functions) -> None:
    functions.post(waited=True)


def _without_key(functions: Functions) -> None:
    functions.post(key=None)
    _go_on(functions)


def _large(functions: Functions) -> None:
    functions.post("x" * LARGE)
    _go_on(functions)


def _with_tools(functions: Functions) -> None:
    run_id = functions.post()
    _go_on(functions)
    if run_id and functions.sound.runs.get(run_id).status is Status.REQUIRES_ACTION:
        functions.hand_in(run_id, OUTPUTS)
    _go_on(functions)


def _one_after_the_other(functions: Functions) -> None:
    """Execute one run of the tenant at a time while the others wait."""
    for name in ("a", "b", "c"):
        functions.post(name, key=name)
    for _ in range(3):
        _go_on(functions)


def _tools_in_turn(functions: Functions) -> None:
    """While a run waits for its tools, another one executes and takes its slot."""
    first = functions.post("a", key="a")
    _go_on(functions)
    functions.post("b", key="b")
    if first and functions.sound.runs.get(first).status is Status.REQUIRES_ACTION:
        functions.hand_in(first, OUTPUTS)
    for _ in range(2):
        _go_on(functions)


def _cancelled_while_it_waits(functions: Functions) -> None:
    executing, waiting = functions.post("a", key="a"), functions.post("b", key="b")
    for run_id in (waiting, executing):
        if run_id:
            functions.cancel(run_id)
    _go_on(functions)


def _cancelled_at_once(functions: Functions) -> None:
    run_id = functions.post()
    if run_id:
        functions.cancel(run_id)
    _go_on(functions)


def _lost_and_found(functions: Functions) -> None:
    """Lose a worker, requeue its run by the reaper, and execute it by another worker."""
    run_id = functions.post()
    if run_id:
        functions.sound.runs.acquire_lease(run_id, now=functions.clock.now)
    functions.clock.wait(minutes=1)
    functions.look()
    _go_on(functions)
    functions.clock.wait(minutes=10)
    functions.look()


def _deleted(functions: Functions) -> None:
    run_id = functions.post("x" * LARGE)
    _go_on(functions)
    if run_id:
        functions.delete(run_id)


def _flushing(functions: Callable[[], Functions]) -> Hook:
    """Wait half a second, after which new text is stored."""
    return lambda: functions().clock.wait(seconds=0.5)


def _streamed(functions: Callable[[], Functions]) -> Sequence[Script]:
    pause = _flushing(functions)
    return (Script((pause, "Hel", pause, "lo", "!", pause, "?")),)


def _cancelled_in_the_middle(functions: Callable[[], Functions]) -> Sequence[Script]:
    pause = _flushing(functions)

    def cancel() -> None:
        for run in functions().all_runs():
            functions().cancel(run.run_id)

    return (Script((pause, "Hel", cancel, pause, "lo", "never")), ANSWER)


def _overtaken(functions: Callable[[], Functions]) -> Sequence[Script]:
    """Continue a suspended worker after the reaper has requeued its run."""

    def sleep() -> None:
        functions().clock.wait(minutes=1)
        functions().look()
        _go_on(functions())

    return (Script(("Hel", sleep, _flushing(functions), "lo")), ANSWER)


SCENARIOS = {
    "in the background": Scenario(_in_background, _always(ANSWER)),
    "waited for": Scenario(_waited, _always(ANSWER)),
    "without a key": Scenario(_without_key, _always(ANSWER)),
    "streamed with flushes": Scenario(_waited, _streamed),
    "asked again": Scenario(_in_background, _always(BUSY, ANSWER)),
    "cut off and asked again": Scenario(_waited, _always(CUT, ANSWER)),
    "failed": Scenario(_waited, _always(BUSY), Status.FAILED),
    "fallback": Scenario(_waited, _always(BUSY, BUSY, BUSY, ANSWER), config={"fallbacks": ["claude-opus-4-5"]}),
    "repaired": Scenario(
        _waited, _always(Script(("four",)), Script(('{"n": 4}',))), config={"response_schema": SCHEMA}
    ),
    "tools": Scenario(_with_tools, _always(ASKS, ANSWER)),
    "tools that are not executed": Scenario(
        _in_background, _always(ASKS), Status.FAILED, has_client=False, rounds_take=timedelta(hours=13)
    ),
    "large input and output": Scenario(_large, _always(Script(("y" * LARGE,)))),
    "one after the other": Scenario(_one_after_the_other, _always(ANSWER), concurrent_runs=1, runs=3),
    "tools in turn": Scenario(_tools_in_turn, _always(ASKS, ANSWER), concurrent_runs=1, runs=2),
    "cancelled while it waits": Scenario(
        _cancelled_while_it_waits, _always(ANSWER), Status.CANCELLED, concurrent_runs=1, runs=2
    ),
    "cancelled at once": Scenario(_cancelled_at_once, _always(ANSWER), Status.CANCELLED),
    "cancelled in the middle": Scenario(_waited, _cancelled_in_the_middle, Status.CANCELLED),
    "lost and found": Scenario(_lost_and_found, _always(ANSWER)),
    "overtaken by another worker": Scenario(_waited, _overtaken),
    "deleted": Scenario(_deleted, _always(Script(("y" * LARGE,))), ends=None),
}
