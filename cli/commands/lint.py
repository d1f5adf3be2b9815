"""`lint`."""

import json
from pathlib import Path

import click

from cli.target import Target, for_target


@click.command()
@click.argument("subject", metavar="FILE|AGENT")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    show_default=True,
    help="The format of the findings. SARIF is what code scanning reads.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info"]),
    default="error",
    show_default=True,
    help="The least severity with which the exit code is 1.",
)
@click.option("--user", "email", help="Address of the user to sign in as, for an agent or prompt.")
@click.option("--tenant", help="Id of the tenant. The default is the user's own.")
@for_target
def lint(target: Target, *, subject: str, form: str, fail_on: str, email: str | None, tenant: str | None) -> int:
    """Lint a config or a prompt.

    SUBJECT is a file, or the id of an agent or prompt.

    A file needs no mesh. JSON is a config; any other text is the template of a prompt. The exit code is 1 if there are
    findings of the severity --fail-on or above.
    """
    from cli.lint import LintedFile, exit_code, is_stored, lines_of, lint_stored, to_json, to_sarif_log
    from services.agents.lint_rules.domain.finding import Severity
    from shared.times import utc_now

    if is_stored(subject):
        from cli.api import send
        from cli.sign_in import sign_in

        if email is None:
            raise click.UsageError("An agent or prompt needs --user.")  # noqa: EM101 — shown as it is
        signed_in = sign_in(target, email)
        url = f"{target.outputs['ApiEndpoint']}/v1/tenants/{tenant or signed_in.tenant_id}"
        report = lint_stored(subject, url, signed_in.token, send=send)
    else:
        report = LintedFile(Path(subject)).lint(now=utc_now())
    if form == "text" and not target.as_json:
        for line in lines_of(report, name=subject):
            click.echo(line)
    else:
        data = to_sarif_log(report, name=subject) if form == "sarif" else to_json(report)
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    return exit_code(report, fail_on=Severity(fail_on))
