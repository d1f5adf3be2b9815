"""Parameters that models refuse and that APIs do not have."""

from typing import Any

import pytest

from services.runs.providers.domain.parameters import (
    RefusedParameters,
    after_refusal,
    api_of,
    cap_parameter,
    refused_by,
    without,
)
from services.runs.providers.domain.request import ModelRequest, compose, fallback_request
from services.runs.providers.gateway.refusals import refusal_of, unsupported_names
from shared.models.capabilities import Parameter

AZURE = "https://acme.openai.azure.com/openai/v1"
REGIONAL = "https://eu.api.openai.com/v1"
OWN = "https://llm.example.org/v1"
T, P, STOP, SEED = Parameter.TEMPERATURE, Parameter.TOP_P, Parameter.STOP, Parameter.SEED


def asked(model: str, **config: Any) -> ModelRequest:  # noqa: ANN401 — any field of a config
    return compose({"model": model, **config}, {"message": "Hi"}, max_output_tokens=None)


@pytest.mark.report(6)
class TestRefusedBy:
    @pytest.mark.parametrize(
        ("request_", "refused"),
        [
            (asked("gpt-4o"), (STOP, SEED)),
            (asked("gpt-4o", api="chat"), ()),
            (asked("gpt-5-mini", api="chat"), (T, P, STOP)),
            (asked("o3", api="chat"), (T, P, STOP)),
            (asked("gpt-5.1", api="chat"), (STOP,)),
            (asked("gpt-7", api="chat"), ()),
            (asked("claude-opus-4-7"), (T, P, SEED)),
            (asked("claude-sonnet-4-5"), (SEED,)),
            (asked("claude-sonnet-4-5", temperature=0.5), (P, SEED)),
            (asked("us.anthropic.claude-opus-4-7-v1:0"), (T, P, SEED, Parameter.PARALLEL_TOOL_CALLS)),
            (asked("gpt-5-mini", base_url=AZURE), (T, P, STOP)),
            (asked("gpt-5-mini", base_url=REGIONAL, api="chat"), (T, P, STOP)),
            (asked("gpt-5-mini", base_url=OWN), ()),
            (asked("claude-opus-4-7", base_url=OWN, provider="anthropic"), (SEED,)),
            (asked("claude-opus-4-7", provider="simulated"), (T, P, SEED)),
            (asked("anything", provider="simulated"), ()),
        ],
    )
    def test_depends_on_the_model_the_api_and_the_server(
        self, request_: ModelRequest, refused: tuple[Parameter, ...]
    ) -> None:
        assert refused_by(request_) == refused

    def test_is_decided_anew_for_a_fallback(self) -> None:
        base = asked("claude-opus-4-7", temperature=0.5)
        fallback = fallback_request(base, "gpt-4o")
        assert (T in refused_by(base), T in refused_by(fallback), fallback.temperature) == (True, False, 0.5)
        back = fallback_request(asked("gpt-4o", temperature=0.5), "o3")
        assert T in refused_by(back)


class TestApiOf:
    @pytest.mark.parametrize(
        ("request_", "api"),
        [
            (asked("gpt-4o"), "responses"),
            (asked("gpt-4o", api="chat"), "chat"),
            (asked("gpt-4o", base_url=REGIONAL), "responses"),
            (asked("gpt-4o", base_url=AZURE), "chat"),
            (asked("gpt-4o", base_url=AZURE, api="responses"), "responses"),
            (asked("gpt-4o", base_url=OWN), "chat"),
            (asked("claude-opus-5"), "messages"),
            (asked("amazon.nova-pro-v1:0"), "converse"),
        ],
    )
    def test_is_the_default_of_the_server(self, request_: ModelRequest, api: str) -> None:
        assert api_of(request_) == api


@pytest.mark.report(5)
class TestCapParameter:
    @pytest.mark.parametrize(
        ("base_url", "name"),
        [
            (None, "max_completion_tokens"),
            ("https://api.openai.com/v1", "max_completion_tokens"),
            (REGIONAL, "max_completion_tokens"),
            (AZURE, "max_completion_tokens"),
            (OWN, "max_tokens"),
        ],
    )
    def test_is_the_new_name_at_openai_and_azure(self, base_url: str | None, name: str) -> None:
        assert cap_parameter(asked("gpt-4o", base_url=base_url)) == name


class TestUnsupportedNames:
    @pytest.mark.parametrize(
        ("message", "names"),
        [
            ("`temperature` is deprecated for this model.", ("temperature",)),
            ("temperature is deprecated for this model.", ("temperature",)),
            ("The model returned the following errors: `top_p` is deprecated for this model.", ("top_p",)),
            (
                "This model doesn't support the temperature field. Remove temperature and try again.",
                ("temperature",),
            ),
            (
                "This model doesn't support the stopSequences field. Remove stopSequences and try again.",
                ("stopSequences",),
            ),
            ("Unsupported parameter: 'stop' is not supported with this model.", ("stop",)),
            ("invalid temperature: only 1 is allowed for this model", ("temperature",)),
            ("seed: Extra inputs are not permitted", ("seed",)),
            ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.", ("top_p",)),
            ("Unknown name: 'parallel_tool_calls'", ("parallel_tool_calls",)),
            (
                "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
                ("max_completion_tokens", "max_tokens"),
            ),
        ],
    )
    def test_are_read_from_the_message(self, message: str, names: tuple[str, ...]) -> None:
        assert set(unsupported_names(400, {"message": message}, message)) == set(names)

    @pytest.mark.parametrize(
        "message",
        [
            "max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens for this model",
            "temperature: range is 0 to 1",
            "The image format is not supported. Please stop sending it.",
            "prompt is too long",
            "",
        ],
    )
    def test_are_none_for_another_reason(self, message: str) -> None:
        assert unsupported_names(400, {"message": message}, message) == ()

    def test_are_openais_param_of_an_unsupported_value(self) -> None:
        message = "Unsupported value: 'temperature' does not support 0.2 with this model."
        body = {"message": message, "param": "temperature", "code": "unsupported_value"}
        assert unsupported_names(400, body, message) == ("temperature",)
        assert unsupported_names(400, {"error": body}, message) == ("temperature",)

    @pytest.mark.parametrize("status", [401, 404, 429, 500])
    def test_are_none_for_another_status(self, status: int) -> None:
        message = "`temperature` is deprecated for this model."
        assert unsupported_names(status, {"message": message}, message) == ()


class TestAfterRefusal:
    def test_leaves_out_what_was_named(self) -> None:
        request = asked("gpt-7", temperature=0.5)
        assert after_refusal(request, refusal_of(("temperature",))) == without(request, [T])

    def test_is_none_if_the_request_does_not_have_it(self) -> None:
        assert after_refusal(asked("gpt-7"), RefusedParameters((T,))) is None
        assert after_refusal(asked("gpt-7", temperature=0.5), RefusedParameters()) is None

    def test_keeps_the_cap_under_its_other_name(self) -> None:
        request = asked("m", base_url=OWN)
        again = after_refusal(request, refusal_of(("max_tokens",)))
        assert again
        assert (cap_parameter(again), again.max_output_tokens) == ("max_completion_tokens", request.max_output_tokens)

    def test_never_leaves_out_the_cap_of_another_api(self) -> None:
        assert after_refusal(asked("claude-opus-5"), refusal_of(("max_tokens",))) is None
