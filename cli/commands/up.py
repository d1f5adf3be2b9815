"""`up`."""

from typing import Any

import click

from cli.admin import invoke_command
from cli.output import show
from cli.password import new_password
from cli.seed import seed_mesh
from cli.target import Target, for_target


@click.command()
@click.option("--force", is_flag=True, help="Deploy even if nothing has changed.")
@for_target
def up(target: Target, *, force: bool) -> None:
    """Start the engine and deploy what has changed.

    The default tenants and users are created if they do not exist, and the price list at the local Stripe.
    """
    target.require_local("up")
    outputs = target.mesh.up(force=force)
    prepared = prepare(target, outputs)
    lines = [*lines_of(prepared), f"The mesh is up: {outputs['ApiEndpoint']}"]
    show(target, {**outputs, **({"created": prepared} if prepared else {})}, lines)


def prepare(target: Target, outputs: dict[str, str]) -> dict[str, Any]:
    """Create the default tenants, users and price list that do not exist, and return those that were created.

    The price list is created at the local Stripe only: that of another Stripe is set up with `ainexus billing setup`.
    """
    seeded = seed_mesh(target, temporary_password=new_password())
    created: dict[str, Any] = {
        kind: [entry for entry in seeded[kind] if entry["created"]] for kind in ("tenants", "users")
    }
    if "StripeEndpoint" in outputs:
        steps = invoke_command(target, "setup", service="billing", only_look=False)["steps"]
        created["prices"] = [step for step in steps if step["difference"] == "add"]
    return {kind: entries for kind, entries in created.items() if entries}


def lines_of(created: dict[str, Any]) -> list[str]:
    """Return a line for each kind of things that was created."""
    names = {"tenants": "tenant_id", "users": "email"}
    lines = [
        f"Created the {kind} {', '.join(str(entry[name]) for entry in created[kind])}."
        for kind, name in names.items()
        if kind in created
    ]
    return [*lines, *(["Created the price list at the local Stripe."] if "prices" in created else [])]
