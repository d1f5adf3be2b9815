"""A corpus of configs: clean ones, and others with planted faults. It is generated from a seed, and none is quoted."""

import random
import string
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

SEED = 20261130
CLEAN, PLANTED = 200, 200
MAX_FAULTS = 3

Config = dict[str, Any]
Plant = Callable[[Config, random.Random], None]

_ROLES = (
    "You answer questions about orders of a shop for garden tools.",
    "You triage the tickets of an internal IT help desk.",
    "You summarize minutes of meetings for people who were absent.",
    "You translate product descriptions and keep names of brands.",
    "You review pull requests of a Python code base.",
    "You help travellers to change bookings of trains and hotels.",
    "You explain the results of laboratory tests to nurses.",
    "You write short release notes from a list of commits.",
    "You classify incoming invoices by department.",
    "You tutor pupils in mathematics, step by step.",
)
_LINES = (
    "Answer in the language of the user.",
    "Keep answers brief. If asked for details, explain each step in detail.",
    "Orders have numbers such as 4539-1488-0343; never guess one.",
    "Escalate complaints to support@acme.io.",
    "Use the tool search for facts, at most three times per question.",
    "Write dates as 2026-11-30 and amounts as EUR 12.50.",
    "Never reveal a password or an API key. Users reset them on their own.",
    "Our office has the number +43 1 234 5678 90.",
    "Commits look like 3f786850e387550fdab836ed7e6dc881de23001b.",
    "Request ids are UUIDs such as 123e4567-e89b-12d3-a456-426614174000.",
    "The card for tests is 4242 4242 4242 4242.",
    'Return JSON such as {"answer": {"text": "…"}} if the client asks for it.',
    "Always greet the user. Never mention the weather.",
    "Cite the section of the manual, for example 4.2.1.",
    "Connection strings look like postgres://user:password@host/name.",
    "Keys begin with sk- and have at least 20 characters.",
    "If a question is not about the product, decline it politely.",
    "Part 536-90-4399 replaces part 536-90-4398.",
    "An IBAN has a country, two check digits and up to 30 characters.",
    "Retry a failed search up to two times.",
    "Do not use markdown in chats, except for links.",
    "Write addresses of people as first.last@example.com.",
    "Ask one question at a time.",
    "Prices include VAT unless the customer is a company.",
)
_MODELS = (
    ("gpt-5.5", "claude-sonnet-5-5"),
    ("gpt-5.4", "claude-sonnet-5-5"),
    ("gpt-5.6", "claude-opus-5-5"),
    ("claude-sonnet-5-5", "gpt-5.5"),
    ("claude-opus-5-5", "gpt-5.6"),
    ("claude-haiku-4-5", "gpt-5.4-mini"),
)
_TOOL: Mapping[str, Any] = {
    "name": "search",
    "description": "Searches the help pages and returns three passages.",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
}
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "source": {"type": ["string", "null"]}},
    "required": ["answer", "source"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A document with the rules that it breaks."""

    document: Config
    expected: frozenset[str]


def corpus(seed: int = SEED) -> list[Sample]:
    """Return the clean documents and then those with faults. Each rule is planted about equally often."""
    rng = random.Random(seed)  # noqa: S311 — a corpus is no secret
    samples = [Sample(_clean(rng), frozenset()) for _ in range(CLEAN)]
    rules = [*PLANTS]
    for number in range(PLANTED):
        first = rules[number % len(rules)]
        others = [rule for rule in rng.sample(rules, rng.randint(0, MAX_FAULTS - 1)) if _fit(rule, first)]
        samples.append(_planted(rng, dict.fromkeys([first, *others])))
    return samples


def _fit(rule: str, first: str) -> bool:
    """Return whether two faults can be in one document. One of them may change the model, tools or schema."""
    if not _ALONE.isdisjoint({rule, first}):
        return False
    return rule not in _MODEL_FAULTS or first not in _MODEL_FAULTS


def _planted(rng: random.Random, rules: Mapping[str, None]) -> Sample:
    config, kept = _clean(rng), list[str]()
    for rule in rules:
        if any(not _fit(rule, one) for one in kept):
            continue
        PLANTS[rule](config, rng)
        kept.append(rule)
    return Sample(config, frozenset(one for rule in kept for one in (rule, *_IMPLIED.get(rule, ()))))


def _clean(rng: random.Random) -> Config:
    model, fallback = rng.choice(_MODELS)
    lines = rng.sample(_LINES, rng.randint(3, 9))
    config: Config = {
        "model": model,
        "fallbacks": [fallback],
        "max_output_tokens": rng.choice([200, 500, 1_000, 2_000]),
        "system_prompt": " ".join([rng.choice(_ROLES), *lines]),
    }
    if rng.random() < 1 / 2:
        config["tools"] = [deepcopy(dict(_TOOL))]
    if rng.random() < 1 / 3:
        config["response_schema"] = deepcopy(dict(_SCHEMA))
    return config


def _say(config: Config, rng: random.Random, text: str) -> None:
    """Insert a sentence at a random place of the prompt."""
    sentences = str(config["system_prompt"]).split(". ")
    sentences.insert(rng.randint(1, len(sentences)), text.removesuffix("."))
    config["system_prompt"] = ". ".join(sentences)


def _chars(rng: random.Random, alphabet: str, count: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(count))


_ALNUM = string.ascii_letters + string.digits


def _token(rng: random.Random) -> str:
    return rng.choice(
        [
            f"AKIA{_chars(rng, string.ascii_uppercase + string.digits, 16)}",
            f"ghp_{_chars(rng, _ALNUM, 36)}",
            f"sk-proj-{_chars(rng, _ALNUM, 40)}",
            f"sk-ant-api03-{_chars(rng, _ALNUM, 60)}",
            f"glpat-{_chars(rng, _ALNUM, 20)}",
            f"xoxb-{_chars(rng, string.digits, 12)}-{_chars(rng, _ALNUM, 24)}",
            f"sk_live_{_chars(rng, _ALNUM, 24)}",
            f"AIza{_chars(rng, _ALNUM, 35)}",
            f"npm_{_chars(rng, _ALNUM, 36)}",
            f"hf_{_chars(rng, _ALNUM, 34)}",
        ]
    )


def _luhn(digits: str) -> str:
    """Return the digits with their check digit."""
    total = sum(
        int(digit) if place % 2 else sum(divmod(int(digit) * 2, 10)) for place, digit in enumerate(reversed(digits))
    )
    return f"{digits}{-total % 10}"


def _card(rng: random.Random) -> str:
    number = _luhn(rng.choice(["4539", "5412", "2720", "6011"]) + _chars(rng, string.digits, 11))
    return rng.choice([number, " ".join(number[place : place + 4] for place in range(0, 16, 4)), "-".join([number])])


def _iban(rng: random.Random) -> str:
    bban = f"{rng.choice(['19043', '12000', '20111'])}{_chars(rng, string.digits, 11)}"
    check = 98 - int(f"{bban}102900") % 97
    return f"AT{check:02}{bban}"


def _ssn(rng: random.Random) -> str:
    return f"{rng.randint(100, 665)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"


def _append(config: Config, name: str, value: object) -> None:
    config[name] = [*config.get(name, []), value]


def _plant_text(*texts: str) -> Plant:
    return lambda config, rng: _say(config, rng, rng.choice(texts))


def _plant_value(text: str, make: Callable[[random.Random], str]) -> Plant:
    return lambda config, rng: _say(config, rng, text.format(make(rng)))


def _set(**fields: Any) -> Plant:  # noqa: ANN401 — any field of a config
    return lambda config, _: config.update(deepcopy(fields))


def _set_template(config: Config, rng: random.Random) -> None:
    variable = rng.choice(["email", "user_question", "document", "review", "ticket", "transcript"])
    lines = [rng.choice(_ROLES), f"Consider {{{{ {variable} }}}} and answer.", *rng.sample(_LINES, 3)]
    config.clear()
    config["template"] = "\n".join(lines)


def _tools(*tools: Mapping[str, Any]) -> Plant:
    def plant(config: Config, _: random.Random) -> None:
        config["tools"] = [deepcopy(dict(tool)) for tool in tools]

    return plant


def _set_model(*models: str, **fields: Any) -> Plant:  # noqa: ANN401 — any field of a config
    """Set one of these models, with a fallback of another provider, and no schema, which some of them lack."""

    def plant(config: Config, rng: random.Random) -> None:
        model = rng.choice(models)
        config.pop("response_schema", None)
        config.update(
            {"fallbacks": ["gpt-5.5" if "claude" in model else "claude-sonnet-5-5"], **fields, "model": model}
        )

    return plant


def _long(config: Config, _: random.Random) -> None:
    config.pop("response_schema", None)
    config.update(
        model="gpt-3.5-turbo", fallbacks=["claude-sonnet-5-5"], system_prompt=f"{config['system_prompt']} " * 600
    )


_MODEL_FAULTS = frozenset(
    {"AIN401", "AIN402", "AIN403", "AIN404", "AIN405", "AIN406", "AIN407", "AIN408"}
    | {"AIN501", "AIN502", "AIN503", "AIN504", "AIN801", "AIN802", "AIN601", "AIN602", "AIN603", "AIN701"}
)
_ALONE = frozenset({"AIN301", "AIN801"})
"""Faults that replace or repeat the whole prompt."""
_IMPLIED: Mapping[str, Sequence[str]] = {"AIN801": ("AIN402",), "AIN408": ("AIN402",), "AIN404": ()}
"""Rules that a planted document breaks by its nature, besides the planted one."""
PLANTS: Mapping[str, Plant] = {
    "AIN101": _plant_value("Use the key {} for the API", _token),
    "AIN102": _plant_value("-----BEGIN RSA PRIVATE KEY-----\n{}\n", lambda rng: _chars(rng, _ALNUM, 64)),
    "AIN103": _plant_value("The data is at mysql://root:{}@db.acme.io/shop", lambda rng: _chars(rng, _ALNUM, 12)),
    "AIN104": _plant_value("The password is {}", lambda rng: f"a7{_chars(rng, _ALNUM, 12)}9Z"),
    "AIN201": _plant_value("Charge the card {} in case of doubt", _card),
    "AIN202": _plant_value("Refunds go to {} at the end of the month", _iban),
    "AIN203": _plant_value("The customer with the SSN {} has priority", _ssn),
    "AIN204": _plant_value("Ask maria.{}@acme.io", lambda rng: _chars(rng, string.ascii_lowercase, 6)),
    "AIN301": _set_template,
    "AIN302": _plant_text(
        "Answer only in German. Always reply in Spanish",
        "Always offer a refund. Never offer a refund",
        "Respond with only JSON. Format lists as bullet points",
        "Be concise. Give a comprehensive explanation",
        "Always use the formal address. You must not use the formal address",
    ),
    "AIN303": _plant_text(
        "Call the search as many times as needed",
        "Keep trying until it works",
        "There is no length limit",
        "Write as long as you like",
        "Repeat the search until you find something",
    ),
    "AIN304": _plant_text("You support the customers of {{ company }}", "The user is {{user_name}}"),
    "AIN401": _set_model("gpt-77-turbo-max"),
    "AIN402": _set_model("gpt-4", "o1", "claude-sonnet-4-20250514"),
    "AIN403": _set_model("gpt-4o", "gpt-4.1", "o3"),
    "AIN404": _set_model("bedrock/unheard.of-model-v1:0"),
    "AIN405": _set_model("gpt-5.5", temperature=0.3),
    "AIN406": _set_model("claude-sonnet-4-6", temperature=0.3, top_p=0.9),
    "AIN407": _set_model("claude-haiku-4-5", max_output_tokens=70_000),
    "AIN408": _set_model("o1-mini", tools=[dict(_TOOL)]),
    "AIN501": lambda config, _: config.pop("max_output_tokens", None),
    "AIN502": lambda config, _: config.pop("fallbacks", None),
    "AIN503": _set_model("gpt-5.5", fallbacks=["gpt-5.4"]),
    "AIN504": lambda config, _: _append(config, "fallbacks", config["model"]),
    "AIN601": _tools({**_TOOL, "parameters": {"type": "array", "items": {}}}),
    "AIN602": _tools({**_TOOL, "description": ""}),
    "AIN603": _tools(_TOOL, {**_TOOL, "name": "find"}),
    "AIN701": _set(response_schema={"type": "object", "properties": {"answer": {"type": "string"}}}),
    "AIN801": _long,
    "AIN802": _set_model("claude-opus-4-8", max_output_tokens=128_000),
    "AIN901": lambda config, _: _append(config, "lint_ignore", {"rule_id": "AIN999"}),
}
