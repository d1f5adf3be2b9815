"""`seed`."""

import click

from cli.output import show
from cli.password import password_for
from cli.seed import import_tenants, lines_of, lines_of_import, seed_mesh
from cli.target import Target, for_target


@click.command()
@click.option("--temporary-password", help="The password of new users. On AWS you are asked for it if it is missing.")
@click.option("--platform-admin", help="Address of a platform admin to create as well.")
@click.option(
    "--import-existing", is_flag=True, help="Import tenants and users that were created with AWS tools instead."
)
@for_target
def seed(target: Target, *, temporary_password: str | None, platform_admin: str | None, import_existing: bool) -> None:
    """Create the default tenants and users.

    Existing ones are not changed. With --import-existing, the missing events of tenants and users that were created
    with AWS tools are published, so that every service has its copy of them.
    """
    if import_existing:
        imported = import_tenants(target)
        show(target, imported, lines_of_import(imported))
        return
    password = temporary_password or password_for(target)
    seeded = seed_mesh(target, temporary_password=password, platform_admin=platform_admin)
    show(target, seeded, lines_of(seeded))
