"""AIN2xx: personal data in texts. Numbers must have the right checksum (python-stdnum)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from services.agents.lint_rules.domain.finding import Category, Hit, Severity, TargetKind
from services.agents.lint_rules.domain.rule import Rule
from services.agents.lint_rules.domain.rules.secrets import REMOVED
from services.agents.lint_rules.domain.views import Text, View
from shared.patterns import Pattern, PatternMatch

_EVERY_TEXT = (TargetKind.CONFIG, TargetKind.PROMPT)
_CONTEXT_CHARS = 60
"""The length of the text before a number in which its name must occur."""
_CARD = Pattern(r"\b[2-6](?:[ -]?[0-9]){11,17}[0-9]\b")
_CARD_LENGTHS: tuple[tuple[tuple[int, int], frozenset[int]], ...] = (
    ((4000, 4999), frozenset({13, 16, 19})),
    ((5100, 5599), frozenset({16})),
    ((2221, 2720), frozenset({16})),
    ((3400, 3499), frozenset({15})),
    ((3700, 3799), frozenset({15})),
    ((3528, 3589), frozenset({16})),
    ((3000, 3059), frozenset({14})),
    ((3600, 3699), frozenset({14})),
    ((6011, 6011), frozenset({16, 19})),
    ((6440, 6599), frozenset({16, 19})),
)
"""The ranges of the first four digits of the card networks, and their lengths."""
_TEST_CARDS = frozenset(
    {
        *("4242424242424242", "4111111111111111", "4012888888881881", "4000056655665556", "5555555555554444"),
        *("5105105105105100", "2223003122003222", "378282246310005", "371449635398431", "6011111111111117"),
        *("6011000990139424", "3056930009020004", "30569309025904", "38520000023237", "3530111333300000"),
        *("4000002500003155", "5200828282828210", "3566002020360505"),
    }
)
"""The numbers that payment providers publish for tests."""
_IBAN = Pattern(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_MIN_IBAN_CHARS = 15
_SAMPLE_IBANS = ("DE8937040044", "GB82WEST1234", "GB29NWBK6016", "FR1420041010", "NL91ABNA0417", "CH9300762011")
"""The beginnings of the samples in the standard and in the articles about it."""
_EMAIL = Pattern(r"\b([A-Za-z0-9][A-Za-z0-9._%+-]{0,63})@((?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24})\b")
_ROLES = frozenset(
    {
        *(
            "info",
            "support",
            "help",
            "contact",
            "hello",
            "hi",
            "sales",
            "billing",
            "admin",
            "office",
            "team",
            "service",
        ),
        *("noreply", "no-reply", "donotreply", "privacy", "security", "abuse", "press", "jobs", "careers", "legal"),
        *("webmaster", "postmaster", "orders", "returns", "feedback", "user", "name", "email", "you", "someone"),
        *("customercare", "customer-service", "helpdesk", "hr", "it", "marketing", "accounts", "compliance", "dpo"),
    }
)
_SAMPLE_DOMAINS = ("example.com", "example.org", "example.net", "example.edu", "domain.com", "company.com", "email.com")
_SAMPLE_ENDS = (".example", ".test", ".invalid", ".localhost")


@dataclass(frozen=True, slots=True)
class _NationalNumber:
    """The number of a person in one country."""

    label: str
    pattern: Pattern
    module: str
    """The module of python-stdnum that checks it."""
    names: tuple[str, ...] = ()
    """One of these must occur before a number whose format is not distinctive; none for the others."""


_NATIONAL = (
    _NationalNumber(
        "a US social security number", Pattern(r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b"), "us.ssn", ("ssn", "social")
    ),
    _NationalNumber("a German tax number", Pattern(r"\b[0-9]{11}\b"), "de.idnr", ("steuer", "idnr", "tax id", "tin")),
    _NationalNumber("a Dutch citizen number", Pattern(r"\b[0-9]{9}\b"), "nl.bsn", ("bsn", "burgerservice", "citizen")),
    _NationalNumber("a Spanish identity number", Pattern(r"\b[0-9]{8}[A-Z]\b"), "es.dni", ("dni", "nif", "documento")),
    _NationalNumber(
        "a French social security number",
        Pattern(r"\b[12](?: ?[0-9]){14}\b"),
        "fr.nir",
        ("nir", "sécurité sociale", "social", "insee"),
    ),
    _NationalNumber("a Polish personal number", Pattern(r"\b[0-9]{11}\b"), "pl.pesel", ("pesel",)),
    _NationalNumber(
        "an Italian tax code", Pattern(r"\b[A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]\b"), "it.codicefiscale"
    ),
    _NationalNumber("a Brazilian taxpayer number", Pattern(r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b"), "br.cpf"),
    _NationalNumber("a Finnish personal number", Pattern(r"\b[0-9]{6}[-+A][0-9]{3}[0-9A-FHJ-NPR-Y]\b"), "fi.hetu"),
)


def _is_valid(module: str, number: str) -> bool:
    # Each module has one standard, and is imported when a text has a candidate.
    check = import_module(f"stdnum.{module}").is_valid
    return bool(cast("Callable[[str], bool]", check)(number))


def _hit(text: Text, found: PatternMatch, label: str, *, end: int | None = None) -> Hit:
    return Hit(
        f"The text contains {label}. It is sent to the provider with each run.",
        pointer=text.pointer,
        start=found.start,
        end=found.end if end is None else end,
        suggestion="Remove it, or pass it as a variable of a run that needs it.",
        edit=REMOVED,
        identity=label,
    )


def _is_card(digits: str) -> bool:
    prefix = int(digits[:4])
    fits = any(first <= prefix <= last and len(digits) in lengths for (first, last), lengths in _CARD_LENGTHS)
    return fits and digits not in _TEST_CARDS and len(set(digits)) > 2 and _is_valid("luhn", digits)


def _check_cards(view: View) -> Iterator[Hit]:
    for text in view.texts():
        for found in _CARD.find(text.text):
            if _is_card(found.text.replace(" ", "").replace("-", "")):
                yield _hit(text, found, "the number of a payment card")


def _iban_end(candidate: str) -> int | None:
    """Return the length of the IBAN at the start of a text, which words in capitals may follow."""
    if candidate.replace(" ", "").startswith(_SAMPLE_IBANS):
        return None
    for end in range(len(candidate), _MIN_IBAN_CHARS - 1, -1):
        if candidate[end - 1] != " " and _is_valid("iban", candidate[:end]):
            return end
    return None


def _check_ibans(view: View) -> Iterator[Hit]:
    for text in view.texts():
        for found in _IBAN.find(text.text):
            if end := _iban_end(found.text):
                yield _hit(text, found, "a bank account (IBAN)", end=found.start + end)


def _check_national_numbers(view: View) -> Iterator[Hit]:
    for text in view.texts():
        taken: set[int] = set()
        for kind in _NATIONAL:
            for found in kind.pattern.find(text.text):
                before = text.text[max(found.start - _CONTEXT_CHARS, 0) : found.start].lower()
                is_named = not kind.names or any(name in before for name in kind.names)
                if is_named and found.start not in taken and _is_valid(kind.module, found.text):
                    taken.add(found.start)
                    yield _hit(text, found, kind.label)


def _is_of_a_person(address: str) -> bool:
    local, _, domain = address.lower().partition("@")
    is_sample = domain.endswith((*_SAMPLE_DOMAINS, *_SAMPLE_ENDS)) or local in _ROLES
    return not is_sample and ("." in local or "_" in local)


def _check_emails(view: View) -> Iterator[Hit]:
    for text in view.texts():
        for found in _EMAIL.find(text.text):
            if _is_of_a_person(found.text):
                yield _hit(text, found, "the email address of a person")


RULES = (
    Rule(
        rule_id="AIN201",
        title="Text with the number of a payment card",
        severity=Severity.ERROR,
        category=Category.COMPLIANCE,
        targets=_EVERY_TEXT,
        reason="Card numbers must not be stored in plain text (PCI DSS 3.5).",
        guard="The network's prefix, length and checksum must be right. Published test numbers are passed over.",
        check=_check_cards,
        bad={"model": "gpt-5.5", "system_prompt": "Charge the card 4539 1488 0343 6467 in case of doubt."},
        good={"model": "gpt-5.5", "system_prompt": "The test card is 4242 4242 4242 4242; order 4539 1488 0343 6468."},
    ),
    Rule(
        rule_id="AIN202",
        title="Text with a bank account",
        severity=Severity.WARNING,
        category=Category.PRIVACY,
        targets=_EVERY_TEXT,
        reason="An IBAN identifies a person or a company's account.",
        guard="The check digits and the country's format must be right. The usual samples are passed over.",
        check=_check_ibans,
        bad={"model": "gpt-5.5", "system_prompt": "Refunds go to AT61 1904 3002 3457 3201 ONLY."},
        good={"model": "gpt-5.5", "system_prompt": "An IBAN looks like AT61 1904 3002 3457 3202."},
    ),
    Rule(
        rule_id="AIN203",
        title="Text with a national identity number",
        severity=Severity.ERROR,
        category=Category.PRIVACY,
        targets=_EVERY_TEXT,
        reason="National numbers of persons have special protection (Article 87 GDPR).",
        guard="The checksum must be right, and the name of the number must be near one without a distinctive format.",
        check=_check_national_numbers,
        bad={"model": "gpt-5.5", "system_prompt": "The customer with SSN 536-90-4399 has priority."},
        good={"model": "gpt-5.5", "system_prompt": "Part 536-90-4399 is out of stock."},
    ),
    Rule(
        rule_id="AIN204",
        title="Text with the email address of a person",
        severity=Severity.INFO,
        category=Category.PRIVACY,
        targets=_EVERY_TEXT,
        reason="The address of a person is personal data, which a prompt seldom needs.",
        guard="Addresses of roles (`support@`), samples and addresses without a first and last name are passed over.",
        check=_check_emails,
        bad={"model": "gpt-5.5", "system_prompt": "Escalate to maria.huber@acme.io."},
        good={"model": "gpt-5.5", "system_prompt": "Escalate to support@acme.io; write addresses as a.b@example.com."},
    ),
)
