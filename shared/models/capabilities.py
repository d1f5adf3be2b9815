"""The capabilities of models: one table, which runs apply to requests and linting can read.

A row applies to all models whose name begins with its family; the longest family wins. Facts that the source does not
state are None. A model without a row is asked as configured.
"""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Literal

Provider = Literal["openai", "anthropic", "bedrock", "azure", "simulated"]

_NAMES = 1_000
"""The number of names whose row is cached."""
_OPENAI_MODELS = "https://developers.openai.com/api/docs/models"
_CLAUDE_MODELS = "https://platform.claude.com/docs/en/models/overview"
_NOVA_MODELS = "https://docs.aws.amazon.com/nova/latest/userguide/what-is-nova.html"
_BEDROCK_MODELS = (
    "https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html"
)
_FINE_TUNED = "ft:"
"""The prefix of fine-tuned models, which have the capabilities of their base model."""
_READ_ON = date(2026, 11, 30)
_BEDROCK_NAME = re.compile(r"(?:arn:[^/]*/)?(?:[a-z-]+\.)?(?P<maker>[a-z0-9]+)\.(?P<model>.+)")


class Parameter(StrEnum):
    """An optional parameter of a request, by its name in a config."""

    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    STOP = "stop"
    SEED = "seed"
    TOOL_CHOICE = "tool_choice"
    PARALLEL_TOOL_CALLS = "parallel_tool_calls"


SAMPLING = frozenset({Parameter.TEMPERATURE, Parameter.TOP_P})
_REASONING = SAMPLING | {Parameter.STOP}
"""Refused by OpenAI's models while they reason.

Sources, read on 2026-11-30: https://developers.openai.com/api/docs/guides/deployment-checklist for the sampling
parameters, and the API reference of Chat Completions for `stop`.
"""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities of a family of models."""

    provider: Provider
    family: str
    """The beginning of the names, in lower case. Dots and dashes are the same."""
    context_tokens: int | None
    """The context window."""
    max_output_tokens: int | None
    """The largest output."""
    source: str
    """The public page with these facts."""
    refuses: AbstractSet[Parameter] = frozenset()
    takes_one_of_sampling: bool = False
    """Whether `temperature` and `top_p` exclude each other."""
    needs_max_completion_tokens: bool = False
    """Whether Chat Completions refuse `max_tokens`."""
    reasons: bool = False
    """Whether it is one of OpenAI's models that reason, and encrypt their reasoning for the next turn."""
    retires_on: date | None = None
    """The first day without the model at its provider; None: not announced. Bedrock and Azure have other dates."""
    images: bool = True
    files: bool = True
    """Whether it accepts PDF files."""
    image_tokens: int | None = None
    """An upper bound of the input tokens of one image of any size; None: only the context window bounds them."""
    tools: bool = True
    structured_output: bool = True
    has_regional_uplift: bool = False
    """Whether OpenAI's regional hosts charge `REGIONAL_UPLIFT_PERCENT` more."""
    read_on: date = _READ_ON
    """The day on which the source was read."""


_OPENAI_IMAGE_TOKENS = 50_000
"""The most that an image costs at any model: 48,169 tokens at gpt-4o-mini (2,833 and eight tiles of 5,667).

Source: https://developers.openai.com/api/docs/guides/images-vision, read on 2026-11-30.
"""
_CLAUDE_IMAGE_TOKENS = 5_000
"""Larger images are scaled down to 4,784 tokens, at older models to about 1,600.

Source: https://platform.claude.com/docs/en/build-with-claude/vision, read on 2026-11-30.
"""
REGIONAL_UPLIFT_PERCENT = 10
"""For models released since 2026-03-05. Source: https://developers.openai.com/api/docs/guides/data-residency, read on
2026-11-30."""


def _gpt(
    family: str,
    context_tokens: int,
    max_output_tokens: int,
    *,
    refuses: AbstractSet[Parameter] = _REASONING,
    retires_on: date | None = None,
    images: bool = True,
    tools: bool = True,
    structured_output: bool = True,
    uplift: bool = False,
) -> Capabilities:
    return Capabilities(
        "openai",
        family,
        context_tokens,
        max_output_tokens,
        _OPENAI_MODELS,
        refuses=refuses,
        needs_max_completion_tokens=bool(refuses),
        reasons=bool(refuses),
        retires_on=retires_on,
        images=images,
        files=images,
        image_tokens=_OPENAI_IMAGE_TOKENS,
        tools=tools,
        structured_output=structured_output,
        has_regional_uplift=uplift,
    )


def _claude(
    family: str,
    context_tokens: int,
    max_output_tokens: int,
    *,
    refuses: AbstractSet[Parameter] = frozenset(),
    one_of_sampling: bool = False,
    retires_on: date | None = None,
    structured_output: bool = True,
) -> Capabilities:
    return Capabilities(
        "anthropic",
        family,
        context_tokens,
        max_output_tokens,
        _CLAUDE_MODELS,
        refuses=refuses,
        takes_one_of_sampling=one_of_sampling,
        image_tokens=_CLAUDE_IMAGE_TOKENS,
        retires_on=retires_on,
        structured_output=structured_output,
    )


_NONE = frozenset[Parameter]()
_OCTOBER, _DECEMBER = date(2026, 10, 23), date(2026, 12, 11)
_JANUARY, _APRIL = date(2027, 1, 14), date(2027, 4, 1)
# Dates: https://developers.openai.com/api/docs/deprecations, read on 2026-11-30.
_OPENAI = (
    _gpt("gpt-3.5-turbo", 16_385, 4_096, refuses=_NONE, retires_on=_OCTOBER, images=False, structured_output=False),
    _gpt("gpt-4", 8_192, 8_192, refuses=_NONE, retires_on=_OCTOBER, images=False, structured_output=False),
    _gpt("gpt-4-turbo", 128_000, 4_096, refuses=_NONE, retires_on=_OCTOBER, structured_output=False),
    _gpt("gpt-4o", 128_000, 16_384, refuses=_NONE, retires_on=_JANUARY),
    _gpt("gpt-4.1", 1_047_576, 32_768, refuses=_NONE, retires_on=_JANUARY),
    _gpt("gpt-4.1-nano", 1_047_576, 32_768, refuses=_NONE, retires_on=_OCTOBER),
    _gpt("chatgpt-4o", 128_000, 16_384, refuses=_NONE, tools=False, structured_output=False),
    _gpt("o1", 200_000, 100_000, retires_on=_OCTOBER),
    _gpt("o1-mini", 128_000, 65_536, retires_on=_OCTOBER, images=False, tools=False, structured_output=False),
    _gpt("o3", 200_000, 100_000, retires_on=_DECEMBER),
    _gpt("o3-mini", 200_000, 100_000, retires_on=_OCTOBER, images=False),
    _gpt("o4-mini", 200_000, 100_000, retires_on=_OCTOBER),
    _gpt("codex-mini", 200_000, 100_000),
    _gpt("gpt-5", 400_000, 128_000, retires_on=_DECEMBER),
    _gpt("gpt-5-chat", 128_000, 16_384, refuses=_NONE),
    _gpt("gpt-5-pro", 400_000, 272_000, retires_on=_DECEMBER),
    # These three reason only on request, and sample as configured otherwise.
    _gpt("gpt-5.1", 400_000, 128_000, refuses=frozenset({Parameter.STOP}), retires_on=_APRIL),
    _gpt("gpt-5.2", 400_000, 128_000, refuses=frozenset({Parameter.STOP})),
    _gpt("gpt-5.4", 1_050_000, 128_000, refuses=frozenset({Parameter.STOP}), uplift=True),
    _gpt("gpt-5.1-codex", 400_000, 128_000),
    _gpt("gpt-5.2-codex", 400_000, 128_000),
    _gpt("gpt-5.2-pro", 400_000, 128_000, structured_output=False),
    _gpt("gpt-5.3-codex", 400_000, 128_000, retires_on=_APRIL),
    _gpt("gpt-5.4-mini", 400_000, 128_000, refuses=frozenset({Parameter.STOP}), uplift=True),
    _gpt("gpt-5.4-nano", 400_000, 128_000, refuses=frozenset({Parameter.STOP}), retires_on=_APRIL, uplift=True),
    _gpt("gpt-5.4-pro", 1_050_000, 128_000, structured_output=False, uplift=True),
    _gpt("gpt-5.5", 1_000_000, 128_000, uplift=True),
    _gpt("gpt-5.6", 1_050_000, 128_000, uplift=True),
    _gpt("gpt-6", 1_050_000, 128_000, uplift=True),
    _gpt("gpt-6.1", 1_050_000, 128_000, uplift=True),
)
# Dates: https://platform.claude.com/docs/en/about-claude/model-deprecations, read on 2026-11-30. The parameters:
# https://platform.claude.com/docs/en/about-claude/models/migration-guide, read on 2026-11-30.
_ANTHROPIC = (
    _claude("claude-3-7-sonnet", 200_000, 64_000, retires_on=date(2026, 2, 19), structured_output=False),
    _claude("claude-sonnet-4", 200_000, 64_000, retires_on=date(2026, 6, 15), structured_output=False),
    _claude("claude-opus-4", 200_000, 32_000, retires_on=date(2026, 6, 15), structured_output=False),
    _claude("claude-opus-4-1", 200_000, 32_000, one_of_sampling=True, retires_on=date(2026, 8, 5)),
    _claude("claude-haiku-4-5", 200_000, 64_000, one_of_sampling=True),
    _claude("claude-sonnet-4-5", 200_000, 64_000, one_of_sampling=True),
    _claude("claude-opus-4-5", 200_000, 64_000, one_of_sampling=True, retires_on=date(2027, 1, 22)),
    _claude("claude-sonnet-4-6", 1_000_000, 64_000, one_of_sampling=True),
    _claude("claude-opus-4-6", 1_000_000, 128_000, one_of_sampling=True),
    _claude("claude-opus-4-7", 1_000_000, 128_000, refuses=SAMPLING),
    _claude("claude-opus-4-8", 1_000_000, 128_000, refuses=SAMPLING),
    _claude("claude-opus-5", 1_000_000, 128_000, refuses=SAMPLING),
    _claude("claude-opus-5-5", 1_000_000, 128_000, refuses=SAMPLING),
    _claude("claude-sonnet-5", 1_000_000, 128_000, refuses=SAMPLING),
    _claude("claude-sonnet-5-5", 1_000_000, 128_000, refuses=SAMPLING),
    _claude("claude-haiku-5-5", 1_000_000, 128_000, refuses=SAMPLING),
    _claude("claude-fable-5", 1_000_000, 128_000, refuses=SAMPLING),
    _claude("claude-mythos-5", 1_000_000, 128_000, refuses=SAMPLING),
)
_BEDROCK = (
    Capabilities(
        "bedrock",
        "amazon.nova-micro",
        128_000,
        10_000,
        _NOVA_MODELS,
        images=False,
        files=False,
        structured_output=False,
    ),
    Capabilities("bedrock", "amazon.nova-lite", 300_000, 10_000, _NOVA_MODELS, structured_output=False),
    Capabilities("bedrock", "amazon.nova-pro", 300_000, 10_000, _NOVA_MODELS, structured_output=False),
    Capabilities("bedrock", "amazon.nova-premier", 1_000_000, 10_000, _NOVA_MODELS, structured_output=False),
    Capabilities("bedrock", "xai.grok", None, None, _BEDROCK_MODELS, refuses=SAMPLING, files=False),
    Capabilities("bedrock", "deepseek.r1", 128_000, 32_768, _BEDROCK_MODELS, images=False, files=False, tools=False),
)
TABLE = (*_OPENAI, *_ANTHROPIC, *_BEDROCK)


@lru_cache(_NAMES)
def capabilities_of(provider: str, model: str) -> Capabilities | None:
    """Return the capabilities of a model, or None if its family is unknown.

    Args:
        provider: the provider. Models at Bedrock and Azure have the capabilities that they have at their maker, but
            not the date of retirement.
        model: the name, as it is sent. At Azure, a deployment is recognised if its name begins with a model's name.
    """
    name = model.lower().removeprefix(_FINE_TUNED).replace(".", "-")
    if provider == "bedrock":
        return _at_bedrock(model.lower())
    if provider == "azure":
        row = _longest("openai", name) or _longest("anthropic", name)
        return replace(row, provider="azure", retires_on=None, has_regional_uplift=False) if row else None
    return _longest(provider, name)


def _at_bedrock(model: str) -> Capabilities | None:
    found = _BEDROCK_NAME.fullmatch(model)
    if found is None:
        return None
    maker, name = found["maker"], found["model"]
    if row := _longest("bedrock", f"{maker}.{name}".replace(".", "-")):
        return row
    row = _longest(maker, name.replace(".", "-")) if maker in {"anthropic", "openai"} else None
    return replace(row, provider="bedrock", retires_on=None, has_regional_uplift=False) if row else None


def _longest(provider: str, name: str) -> Capabilities | None:
    """Return the row of the longest family that this name belongs to; dots in names are dashes."""
    found = (row for row in TABLE if row.provider == provider and _belongs(name, row.family.replace(".", "-")))
    return max(found, key=lambda row: len(row.family), default=None)


def _belongs(name: str, family: str) -> bool:
    return name.startswith(family) and not name[len(family) : len(family) + 1].isalnum()
