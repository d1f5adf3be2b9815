"""The built-in provider."""

from services.runs.domain.request import Message, ModelRequest
from services.runs.gateways.model import Ended, Text
from services.runs.gateways.simulated import SimulatedModel
from shared.meters import Meter


def _answer(asked: str, *, cap: int = 4_096, slept: list[float] | None = None) -> tuple[str, Ended]:
    waits = slept if slept is not None else []
    model = SimulatedModel(sleep=waits.append)
    *texts, ended = model.stream(ModelRequest("gpt-4", (Message("user", asked),), cap))
    assert isinstance(ended, Ended)
    return "".join(text.text for text in texts if isinstance(text, Text)), ended


class TestSimulatedModel:
    def test_answers_the_same_to_the_same(self) -> None:
        assert _answer("Hello, world!") == _answer("Hello, world!")

    def test_says_what_it_heard(self) -> None:
        assert _answer("Hello, world!")[0] == "This is a simulated answer. You said: Hello, world!"

    def test_answers_as_long_as_it_is_told(self) -> None:
        message, ended = _answer("[[tokens 500]] go on")
        assert len(message.split()) == ended.meters[Meter.TOKENS_OUT] == 500

    def test_never_answers_longer_than_the_cap(self) -> None:
        message, ended = _answer("[[tokens 500]] go on", cap=20)
        assert len(message.split()) == ended.meters[Meter.TOKENS_OUT] == 20

    def test_waits_before_each_chunk(self) -> None:
        slept: list[float] = []
        _answer("[[tokens 33]] [[delay 200]]", slept=slept)
        assert slept == [0.2, 0.2, 0.2]

    def test_waits_ten_seconds_at_most(self) -> None:
        slept: list[float] = []
        _answer("[[tokens 1]] [[delay 999999]]", slept=slept)
        assert slept == [10.0]

    def test_never_counts_more_input_than_there_are_bytes(self) -> None:
        assert _answer("ü" * 10)[1].meters[Meter.TOKENS_IN] == 5
