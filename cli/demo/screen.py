"""How the demo looks: each step with the command that a person could type, and the real answer."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import click

from cli.api import Answer

_LONGEST = 60
"""Lines of an answer that are shown."""


@dataclass
class Screen:
    """Writes the steps; with JSON asked for, only the result goes to standard output."""

    as_json: bool = False
    steps: int = 0

    def title(self, text: str) -> None:
        """A new step."""
        self.steps += 1
        self._say("\n" + click.style(f"{self.steps}. {text}", bold=True))

    def note(self, text: str) -> None:
        """What was found out."""
        self._say(click.style("✓ ", fg="green") + text)

    def command(self, text: str) -> None:
        """What to type to see the same."""
        self._say(click.style(f"$ {text}", fg="cyan"))

    def answer(self, answer: Answer) -> None:
        """What came back."""
        self._say(f"HTTP {answer.status}")
        self.data(answer.body)

    def data(self, data: object) -> None:
        """Some data, as JSON."""
        lines = json.dumps(data, indent=2, default=str, ensure_ascii=False).splitlines()
        hidden = len(lines) - _LONGEST
        self.lines(lines[:_LONGEST] + ([f"… {hidden} more lines"] if hidden > 0 else []))

    def lines(self, lines: Iterable[str]) -> None:
        """Some lines as they are."""
        for line in lines:
            self._say(line)

    def failed(self, reason: str) -> None:
        """The end, when something was not as it should be."""
        if self.as_json:
            click.echo(json.dumps({"passed": False, "reason": reason}, indent=2))
        self._say(click.style(f"\n✗ {reason}", fg="red"))

    def passed(self, seen: object) -> None:
        """The end, when all was as it should be."""
        if self.as_json:
            click.echo(json.dumps({"passed": True, "seen": seen}, indent=2, default=str))
        self._say(click.style("\nEvery step was as it should be.", fg="green", bold=True))

    def _say(self, text: str) -> None:
        click.echo(text, err=self.as_json)
