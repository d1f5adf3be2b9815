"""What clients, workers and the reaper do to one run, by name; every step of it is one at which they can be killed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from services.runs.domain.request import ToolCall
from services.runs.domain.run import Status
from services.runs.errors import ProviderFailed
from tests.services.runs.kills.functions import Functions
from tests.services.runs.kills.provider import Script
from tests.services.runs.runs import TENANT

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
    """One run, as it goes when nobody dies.

    Args:
        act: what happens.
        scripts: of the provider's calls; `happens` is what its pieces can set off.
        ends: the run's final status when nobody dies.
        config: more in the agent's config.
        has_client: whether a client goes on to hand in what the tools gave.
        rounds_take: the time between one look of the reaper and the next, when it is over.
        concurrent_runs: that the tenant's plan allows.
        runs: how many there are when nobody dies.
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
    if run_id and functions.sound.runs.get(TENANT, run_id).status is Status.REQUIRES_ACTION:
        functions.hand_in(run_id, OUTPUTS)
    _go_on(functions)


def _one_after_the_other(functions: Functions) -> None:
    """The tenant may execute one run at a time; the others wait for it."""
    for name in ("a", "b", "c"):
        functions.post(name, key=name)
    for _ in range(3):
        _go_on(functions)


def _tools_in_turn(functions: Functions) -> None:
    """While a run waits for its tools another one executes, for whose end it then waits itself."""
    first = functions.post("a", key="a")
    _go_on(functions)
    functions.post("b", key="b")
    if first and functions.sound.runs.get(TENANT, first).status is Status.REQUIRES_ACTION:
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
    """Its worker is lost by itself, the reaper gives the run back, and another worker has it."""
    run_id = functions.post()
    if run_id:
        functions.sound.runs.take(run_id=run_id, tenant_id=TENANT, now=functions.clock.now)
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
    """Half a second, after which new text is written down."""
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
    """The worker falls asleep; the reaper gives its run to another one, and then it wakes up and goes on."""

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
    "tools that nobody executes": Scenario(
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
