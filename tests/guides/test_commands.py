"""The commands in all blocks exist, even if the tests cannot run them."""

import re
import subprocess

import click
import pytest

from cli.app import ainexus
from infra.bundle.target import ROOT
from tests.guides.commands import Command, commands_of, invalid_parts
from tests.guides.page import MarkdownPage, pages

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
BLOCKS = [
    pytest.param(block, id=f"{page.path.relative_to(ROOT)} {number}")
    for page in pages()
    for number, block in enumerate([*page.blocks("bash"), *page.blocks("sh")])
]


@pytest.mark.parametrize("block", BLOCKS)
class TestBlock:
    def test_is_shell(self, block: str) -> None:
        completed = subprocess.run(["/bin/bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert completed.returncode == 0, completed.stderr

    def test_calls_existing_commands(self, block: str) -> None:
        found = [(command.words, wrong) for command in commands_of(block) for wrong in invalid_parts_of(command)]
        assert found == []


def invalid_parts_of(command: Command) -> list[str]:
    """Return the invalid parts of a command."""
    words = [word for word in command.words if not re.match(r"[A-Z_]+=", word)]
    match words:
        case ["make", target, *_]:
            return [] if target in TARGETS or "=" in target else [f"there is no target {target}"]
        case ["./ainexus", *rest]:
            return invalid_parts_of_ainexus(ainexus, rest)
        case _:
            return invalid_parts(Command(tuple(words)))


def invalid_parts_of_ainexus(command: click.Command, words: list[str]) -> list[str]:
    """Return the parts that our own command line does not understand."""
    if isinstance(command, click.Group):
        name = words[0] if words else ""
        if name.startswith("-"):
            return []
        found = command.get_command(click.Context(command), name)
        return invalid_parts_of_ainexus(found, words[1:]) if found else [f"no {name!r}"]
    known = {"--help", *(option for parameter in command.params for option in parameter.opts)}
    return [f"{option} is unknown" for option in Command(tuple(words)).options if option not in known]


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("aws sns create-subscription --topic-arn a", ["there is no aws sns create-subscription"]),
        ("aws sns subscribe --topic-arn a --protocol email", []),
        ("aws sns subscribe --topic-arn a", ["--protocol is missing"]),
        ("aws apigateway update-stage --rest-api-id a --stage-name b --patch-ops c", ["--patch-ops is unknown"]),
        ("A=$(aws sts get-caller-identity --colour) || echo no", ["--colour is unknown"]),
        ("curl -s $API && aws nothing here", ["there is no aws nothing here"]),
        ("make nonsense ENV=dev", ["there is no target nonsense"]),
        ("ENV=dev make synth", []),
        ("./ainexus event tail", ["no 'event'"]),
        ("./ainexus events tail --typ x", ["--typ is unknown"]),
        ("X=$(./ainexus outputs ApiEndpoint --en dev)", ["--en is unknown"]),
        ("./ainexus --help", []),
    ],
)
def test_detects_invalid_commands(code: str, wrong: list[str]) -> None:
    assert [one for command in commands_of(code) for one in invalid_parts_of(command)] == wrong


def test_finds_the_commands_of_the_walkthrough() -> None:
    walkthrough = MarkdownPage(ROOT / "docs" / "guides" / "walkthrough.md")
    found = {command.words[:3] for block in walkthrough.blocks("bash") for command in commands_of(block)}
    assert ("aws", "cognito-idp", "admin-create-user") in found
    assert ("aws", "sns", "subscribe") in found
