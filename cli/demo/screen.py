"""The output of the demo: each step with its commands and the responses."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import click

from cli.api import ApiResponse

_MAX_DATA_LINES = 60


@dataclass
class Screen:
    """Prints the steps; with --json they go to standard error, and only the result to standard output."""

    as_json: bool = False
    steps: int = 0

    def title(self, text: str) -> None:
        """Begin a step."""
        self.steps += 1
        self._print("\n" + click.style(f"{self.steps}. {text}", bold=True))

    def note(self, text: str) -> None:
        """Print a confirmed result."""
        self._print(click.style("✓ ", fg="green") + text)

    def command(self, text: str) -> None:
        """Print the command that does the same in a shell."""
        self._print(click.style(f"$ {text}", fg="cyan"))

    def response(self, response: ApiResponse) -> None:
        """Print a response of the API."""
        self._print(f"HTTP {response.status}")
        self.data(response.body)

    def data(self, data: object) -> None:
        """Print data as JSON, at most 60 lines."""
        lines = json.dumps(data, indent=2, default=str, ensure_ascii=False).splitlines()
        hidden = len(lines) - _MAX_DATA_LINES
        self.lines(lines[:_MAX_DATA_LINES] + ([f"… {hidden} more lines"] if hidden > 0 else []))

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines unchanged."""
        for line in lines:
            self._print(line)

    def failed(self, reason: str) -> None:
        """Print the end of a demo with an unexpected result."""
        if self.as_json:
            click.echo(json.dumps({"passed": False, "reason": reason}, indent=2))
        self._print(click.style(f"\n✗ {reason}", fg="red"))

    def passed(self, seen: object) -> None:
        """Print the end of a demo with the expected results."""
        if self.as_json:
            click.echo(json.dumps({"passed": True, "seen": seen}, indent=2, default=str))
        self._print(click.style("\nEvery step had the expected result.", fg="green", bold=True))

    def _print(self, text: str) -> None:
        click.echo(text, err=self.as_json)
