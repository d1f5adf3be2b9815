"""AIN1xx: secrets in texts.

The formats are those that `bc-detect-secrets` 1.5 knows (https://github.com/bridgecrewio/detect-secrets, Apache-2.0),
and those of providers of models, written for RE2. Nothing is verified over the network.
"""

import math
from collections import Counter
from collections.abc import Iterator

from services.agents.lint_rules.domain.finding import Category, Hit, Severity, TargetKind
from services.agents.lint_rules.domain.rule import Rule
from services.agents.lint_rules.domain.views import Text, View
from shared.patterns import Pattern, PatternMatch

REMOVED = "[removed]"
"""The text that a fix writes in place of a secret or of personal data."""
_EVERY_TEXT = (TargetKind.CONFIG, TargetKind.PROMPT)
_MIN_ENTROPY_BITS = 3.0
"""Of one character. English words have less than 3, and random tokens have 4 or more."""
_MIN_DISTINCT_CHARS = 8
_SAMPLES = (
    "example",
    "sample",
    "placeholder",
    "xxxx",
    "your",
    "dummy",
    "redacted",
    "****",
    "....",
    "changeme",
    "test_",
)

_TOKENS: dict[str, Pattern] = {
    "an AWS access key id": Pattern(r"\b(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}\b"),
    "an Anthropic API key": Pattern(r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    "an OpenAI API key": Pattern(r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_]{20,}"),
    "a GitHub token": Pattern(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,})"),
    "a GitLab token": Pattern(r"\bglpat-[A-Za-z0-9_-]{20,}"),
    "a Slack token": Pattern(r"\bxox[abposr]-[0-9]+-[0-9A-Za-z-]{10,}"),
    "the URL of a Slack webhook": Pattern(r"https://hooks\.slack\.com/services/T\w{6,40}/B\w{6,40}/\w{16,60}"),
    "a live Stripe key": Pattern(r"\b[rs]k_live_[0-9a-zA-Z]{24,}"),
    "a SendGrid key": Pattern(r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    "a Square secret": Pattern(r"\bsq0csp-[0-9A-Za-z_-]{43}"),
    "a Twilio key": Pattern(r"\b(?:AC|SK)[a-f0-9]{32}\b"),
    "an npm token": Pattern(r"\bnpm_[A-Za-z0-9]{36}\b"),
    "a PyPI token": Pattern(r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}"),
    "a Google API key": Pattern(r"\bAIza[0-9A-Za-z_-]{35}"),
    "a Hugging Face token": Pattern(r"\bhf_[A-Za-z0-9]{34}\b"),
    "a Discord token": Pattern(r"\b[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}"),
    "a Telegram token": Pattern(r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"),
    "a Mailchimp key": Pattern(r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    "an Artifactory key": Pattern(r"\bAKCp[A-Za-z0-9]{60,}"),
    "an Azure storage key": Pattern(r"AccountKey=[A-Za-z0-9+/]{86}=="),
    "a JSON Web Token": Pattern(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
}
_PRIVATE_KEY = Pattern(
    r"-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16,}"
    r"|-----BEGIN PGP PRIVATE KEY BLOCK-----\s+[A-Za-z0-9+/=:. ]{16,}|PuTTY-User-Key-File-[23]:"
)
_URL = Pattern(r"[a-z][a-z0-9+.-]{1,20}://[^\s:/@{}<>\[\]$]{1,}:([^\s@{}<>\[\]/$]{3,})@[A-Za-z0-9.-]+")
_ASSIGNED = Pattern(
    r"(?:password|passwd|pwd|secret|api[_ -]?key|access[_ -]?token|auth[_ -]?token|client[_ -]?secret)[\"'`]?"
    r"(?:\s*[:=]\s*|\s+is\s+)[\"'`]?([^\s\"'`,;<>{}$()\[\]]{8,})",
    ignores_case=True,
)
_COMMON_PASSWORDS = frozenset({"pass", "passwd", "password", "secret", "pwd", "token", "key"})


def _is_sample(token: str) -> bool:
    """Return whether a token is written in place of one: a word such as EXAMPLE, or few different characters."""
    lower = token.lower()
    return any(sample in lower for sample in _SAMPLES) or len(set(lower)) < _MIN_DISTINCT_CHARS


def _entropy_bits(text: str) -> float:
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _is_random(value: str) -> bool:
    has_both = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    return has_both and _entropy_bits(value) >= _MIN_ENTROPY_BITS


def _hit(text: Text, found: PatternMatch, label: str) -> Hit:
    return Hit(
        f"The text contains {label}. Everyone who can read the agent can read it, and so can the model.",
        pointer=text.pointer,
        start=found.start,
        end=found.end,
        suggestion="Remove it, and replace it where it is used: it is part of every stored version.",
        edit=REMOVED,
        identity=label,
    )


def _tokens_in(text: str) -> Iterator[tuple[str, PatternMatch]]:
    taken: list[PatternMatch] = []
    for label, pattern in _TOKENS.items():
        for found in pattern.find(text):
            overlaps = any(one.start < found.end and found.start < one.end for one in taken)
            if not overlaps and not _is_sample(found.text):
                taken.append(found)
                yield label, found


def _check_tokens(view: View) -> Iterator[Hit]:
    for text in view.texts():
        yield from (_hit(text, found, label) for label, found in _tokens_in(text.text))


def _check_private_keys(view: View) -> Iterator[Hit]:
    for text in view.texts():
        yield from (_hit(text, found, "a private key") for found in _PRIVATE_KEY.find(text.text))


def _check_urls(view: View) -> Iterator[Hit]:
    for text in view.texts():
        for found in _URL.find(text.text):
            password = found.group.lower()
            if password not in _COMMON_PASSWORDS and not any(sample in password for sample in _SAMPLES):
                yield _hit(text, found, "a URL with a password")


def _check_assignments(view: View) -> Iterator[Hit]:
    for text in view.texts():
        for found in _ASSIGNED.find(text.text):
            value = found.group.rstrip(".!?")
            is_known = any(True for _ in _tokens_in(value))
            if _is_random(value) and not _is_sample(value) and not is_known:
                yield _hit(text, found, "what looks like a password or key")


RULES = (
    Rule(
        rule_id="AIN101",
        title="Text with a token or key",
        severity=Severity.ERROR,
        category=Category.SECURITY,
        targets=_EVERY_TEXT,
        reason="Prompts, tool descriptions and schemas are sent to the provider and shown to all users of the tenant.",
        guard="Only formats with a fixed prefix and length count. Samples such as `xxxx` are passed over.",
        check=_check_tokens,
        bad={"model": "gpt-5.5", "system_prompt": "Call the API with ghp_16C7e42F292c6912E7710c838347Ae178B4a."},
        good={"model": "gpt-5.5", "system_prompt": "Keys begin with ghp_ and have 36 characters, as in ghp_xxxx."},
    ),
    Rule(
        rule_id="AIN102",
        title="Text with a private key",
        severity=Severity.ERROR,
        category=Category.SECURITY,
        targets=_EVERY_TEXT,
        reason="A private key in a prompt is known to the provider and to all users of the tenant.",
        guard="The header alone, without the content of a key, is no finding.",
        check=_check_private_keys,
        bad={
            "model": "gpt-5.5",
            "system_prompt": "Sign with -----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn\n",
        },
        good={
            "model": "gpt-5.5",
            "system_prompt": "Remove -----BEGIN RSA PRIVATE KEY----- and what follows.",
        },
    ),
    Rule(
        rule_id="AIN103",
        title="URL with a password",
        severity=Severity.ERROR,
        category=Category.SECURITY,
        targets=_EVERY_TEXT,
        reason="The password of a connection string gives access to a database or server.",
        guard="Placeholders and words such as `password` count as samples.",
        check=_check_urls,
        bad={"model": "gpt-5.5", "system_prompt": "The data is at postgres://admin:hunter2-9f3@db.acme.io/orders."},
        good={"model": "gpt-5.5", "system_prompt": "Write connection strings as postgres://user:password@host/name."},
    ),
    Rule(
        rule_id="AIN104",
        title="Text that states a password",
        severity=Severity.WARNING,
        category=Category.SECURITY,
        targets=_EVERY_TEXT,
        reason="A model repeats what its prompt contains, also passwords.",
        guard="The value must have letters and digits in a random order (3 bits of entropy per character or more).",
        check=_check_assignments,
        bad={"model": "gpt-5.5", "system_prompt": "The admin password is qX7!vR2pLz9w."},
        good={"model": "gpt-5.5", "system_prompt": "Never reveal a password: users reset it on their own."},
    ),
)
