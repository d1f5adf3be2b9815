"""`token`."""

import click

from cli.output import show
from cli.target import Target, for_target


@click.command()
@click.option("--user", "email", required=True, help="Address of the user.")
@for_target
def token(target: Target, *, email: str) -> None:
    """Print an id token for the API.

    On AWS you are asked for the user's password.
    """
    from cli.sign_in import sign_in

    signed_in = sign_in(target, email)
    show(target, {"token": signed_in.token, "expires_in_s": signed_in.expires_in_s}, [signed_in.token])
