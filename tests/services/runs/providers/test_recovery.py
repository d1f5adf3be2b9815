"""Calls of models that refuse a parameter, against the local server."""

import json
from typing import Any, Literal

import pytest

from services.runs.providers.domain.request import ToolChoice
from services.runs.providers.gateway.addresses import Addresses
from services.runs.providers.gateway.models import ProviderModels
from services.runs.runs.domain.run import Outcome, Status
from services.runs.runs.schemas import Run as RunSchema
from shared.meters import Meter
from shared.models.capabilities import Parameter
from tests.services.runs.providers import adapters
from tests.services.runs.providers.adapters import (
    ADAPTERS,
    CHAT,
    CONVERSE,
    MESSAGES,
    WEATHER,
    Adapter,
    answered,
    receive,
    refused,
    request,
)
from tests.services.runs.providers.server import ProviderServer, Reply
from tests.services.runs.providers.stage import ONCE, Stage, left_after
from tests.services.runs.providers.test_runs import COMPLETE

EACH = pytest.mark.parametrize("adapter", ADAPTERS, ids=str)
Mode = Literal["auto", "none", "required"]
NOT_SUPPORTED = "`temperature` is deprecated for this model."


def sampling_of(body: dict[str, Any]) -> set[str]:
    """Return the names of the sampling parameters in a body, in any format."""
    return {"temperature", "top_p", "topP"} & {*body, *body.get("inferenceConfig", {})}


@EACH
class TestRecovery:
    def test_asks_once_more_without_the_refused_parameter(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        before = len(server.received)
        server.add_replies(refused(adapter, 400, NOT_SUPPORTED), answered(adapter))
        received = receive(models, request(adapter, server.url, temperature=0.5))
        assert (received.failure, received.text, received.omitted) == (None, "Hello, world", [Parameter.TEMPERATURE])
        first, second = (one.body for one in server.received[before:])
        assert (sampling_of(first), sampling_of(second)) == ({"temperature"}, set[str]())

    def test_ends_with_the_second_refusal(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        before = len(server.received)
        top_p = NOT_SUPPORTED.replace("temperature", "top_p")
        server.add_replies(refused(adapter, 400, NOT_SUPPORTED), refused(adapter, 400, top_p))
        received = receive(models, request(adapter, server.url, temperature=0.5, top_p=0.5))
        assert received.failure
        assert (received.failure.code, received.failure.retry, received.failure.usage_known) == (
            "ProviderRejected",
            False,
            True,
        )
        assert len(server.received) == before + 2

    @pytest.mark.parametrize(
        ("status", "message"),
        [(400, "prompt is too long"), (400, "`seed` is deprecated for this model."), (500, NOT_SUPPORTED)],
    )
    def test_is_for_refused_parameters_of_the_request_alone(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter, status: int, message: str
    ) -> None:
        before = len(server.received)
        server.add_replies(refused(adapter, status, message))
        received = receive(models, request(adapter, server.url, temperature=0.5))
        assert received.failure
        assert (len(server.received), received.omitted) == (before + 1, [])


class TestOutputCap:
    @pytest.mark.parametrize(
        ("message", "param"),
        [
            ("Unsupported parameter: 'max_tokens' is not supported with this model.", "max_tokens"),
            ("max_tokens is not supported, use max_completion_tokens", None),
        ],
    )
    def test_is_sent_under_its_other_name(
        self, server: ProviderServer, models: ProviderModels, message: str, param: str | None
    ) -> None:
        before = len(server.received)
        error = {"message": message, "param": param, "code": "unsupported_parameter" if param else None}
        refusal = Reply(
            (json.dumps({"error": error}).encode(),), status=400, headers={"Content-Type": "application/json"}
        )
        server.add_replies(refusal, answered(CHAT))
        received = receive(models, request(CHAT, server.url))
        caps = [
            {name: one.body.get(name) for name in ("max_tokens", "max_completion_tokens")} for one in server.received
        ]
        assert (received.ended is not None, received.omitted) == (True, [])
        assert caps[before:] == [
            {"max_tokens": 100, "max_completion_tokens": None},
            {"max_tokens": None, "max_completion_tokens": 100},
        ]


@pytest.mark.report(6)
class TestKnownRefusals:
    """A model of the table is not even asked with a parameter that it refuses."""

    @pytest.mark.parametrize(
        ("host", "adapter", "model"),
        [
            ("api.openai.com", CHAT, "gpt-5-mini"),
            ("eu.api.openai.com", CHAT, "o3"),
            ("api.anthropic.com", MESSAGES, "claude-opus-4-8"),
            (None, CONVERSE, "us.anthropic.claude-opus-4-8-v1:0"),
        ],
    )
    def test_are_left_out(self, server: ProviderServer, host: str | None, adapter: Adapter, model: str) -> None:
        addresses = Addresses(allow_private=True, resolve=lambda _host, _port: ["127.0.0.1"])
        url = f"http://{host}:{server.server_address[1]}"
        server.add_replies(answered(adapter))
        models = adapters.models(url if host else server.url, addresses=addresses)
        asked = request(adapter, url, model=model, temperature=0.5, top_p=0.5)
        received = receive(models, asked)
        models.close()
        assert received.ended
        assert received.omitted == [Parameter.TEMPERATURE, Parameter.TOP_P]
        assert sampling_of(server.received[-1].body) == set()
        if adapter is CHAT:
            assert server.received[-1].body["max_completion_tokens"] == 100


@pytest.mark.parametrize("stage", ADAPTERS, indirect=True, ids=str)
@pytest.mark.report(6)
class TestRuns:
    def test_show_a_warning_and_count_one_call(self, stage: Stage) -> None:
        stage.server.add_replies(refused(stage.adapter, 400, NOT_SUPPORTED), answered(stage.adapter))
        done = stage.execute(stage.submit(temperature=0.5))
        assert done.status is Status.COMPLETED
        [call] = done.calls
        assert (call.status, call.meters, call.omitted) == (
            Outcome.COMPLETED,
            {**stage.counted(COMPLETE), **ONCE},
            ("temperature",),
        )
        assert stage.left() == left_after(COMPLETE)
        assert [warning.model_dump() for warning in RunSchema.of(done).warnings] == [
            {
                "code": "ParameterOmitted",
                "model": "m",
                "parameter": "temperature",
                "message": "The model m does not support temperature. It was called without it.",
            }
        ]

    def test_charge_nothing_for_a_call_that_is_refused_twice(self, stage: Stage) -> None:
        stage.server.add_replies(*[refused(stage.adapter, 400, NOT_SUPPORTED)] * 2)
        done = stage.execute(stage.submit(temperature=0.5))
        assert (done.status, [call.error_code for call in done.calls]) == (Status.FAILED, ["ProviderRejected"])
        assert (done.usage, done.cost_nano_usd) == ({Meter.REQUESTS: 1, Meter.COMPUTE_MS: 0}, 0)
        assert stage.left() == left_after()


class TestChoices:
    """The remaining parameters, in each format."""

    @pytest.mark.parametrize(
        ("adapter", "fields"),
        [
            (
                CHAT,
                {
                    "top_p": 0.5,
                    "stop": ["END"],
                    "seed": 7,
                    "tool_choice": {"type": "function", "function": {"name": "weather"}},
                    "parallel_tool_calls": False,
                },
            ),
            (
                adapters.RESPONSES,
                {
                    "top_p": 0.5,
                    "tool_choice": {"type": "function", "name": "weather"},
                    "parallel_tool_calls": False,
                },
            ),
            (
                MESSAGES,
                {
                    "top_p": 0.5,
                    "stop_sequences": ["END"],
                    "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
                },
            ),
            (CONVERSE, {"inferenceConfig": {"maxTokens": 100, "topP": 0.5, "stopSequences": ["END"]}}),
        ],
        ids=str,
    )
    def test_are_sent(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter, fields: dict[str, Any]
    ) -> None:
        server.add_replies(answered(adapter))
        asked = request(
            adapter,
            server.url,
            top_p=0.5,
            stop=("END",),
            seed=7,
            tools=(WEATHER,),
            tool_choice=ToolChoice("tool", "weather"),
            parallel_tool_calls=False,
        )
        assert receive(models, asked).ended
        body = server.received[-1].body
        assert {name: body[name] for name in fields} == fields
        if adapter is CONVERSE:
            assert body["toolConfig"]["toolChoice"] == {"tool": {"name": "weather"}}

    @pytest.mark.parametrize(
        ("adapter", "mode", "sent"),
        [
            (CHAT, "required", "required"),
            (CHAT, "none", "none"),
            (adapters.RESPONSES, "auto", "auto"),
            (MESSAGES, "required", {"type": "any", "disable_parallel_tool_use": False}),
            (MESSAGES, "none", {"type": "none"}),
            (MESSAGES, "auto", {"type": "auto", "disable_parallel_tool_use": False}),
        ],
    )
    def test_of_tools_have_the_names_of_the_format(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter, mode: Mode, sent: object
    ) -> None:
        server.add_replies(answered(adapter))
        assert receive(models, request(adapter, server.url, tools=(WEATHER,), tool_choice=ToolChoice(mode))).ended
        assert server.received[-1].body["tool_choice"] == sent

    @pytest.mark.parametrize(("mode", "config"), [("required", {"any": {}}), ("auto", {"auto": {}}), ("none", None)])
    def test_of_tools_in_converse(
        self, server: ProviderServer, models: ProviderModels, mode: Mode, config: object
    ) -> None:
        server.add_replies(answered(CONVERSE))
        assert receive(models, request(CONVERSE, server.url, tools=(WEATHER,), tool_choice=ToolChoice(mode))).ended
        assert server.received[-1].body.get("toolConfig", {}).get("toolChoice") == config
