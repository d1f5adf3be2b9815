"""Sign-in by SRP, which sends no password and works in every environment."""

from collections.abc import Callable
from typing import Any

from cli.errors import CommandRefused


def sign_in_by_srp(
    cognito: Any,  # noqa: ANN401 — boto3 makes clients from data
    *,
    pool_id: str,
    client_id: str,
    email: str,
    password: str,
    ask_new: Callable[[], str],
) -> Any:  # noqa: ANN401 — as above
    """Sign a user in and return the response of the user pool.

    Args:
        cognito: the client of Cognito.
        pool_id: the user pool.
        client_id: the app client.
        email: the user's address.
        password: the user's password.
        ask_new: returns a new password; called if the pool requires one.

    Raises:
        CommandRefused: the pool requires a second factor.
    """
    # pycognito takes half a second to import, and only signing in needs it.
    from pycognito.aws_srp import AWSSRP  # pyright: ignore[reportMissingTypeStubs] — it has none
    from pycognito.exceptions import (  # pyright: ignore[reportMissingTypeStubs] — as above
        ForceChangePasswordException,
        MFAChallengeException,
    )

    srp: Any = AWSSRP(username=email, password=password, pool_id=pool_id, client_id=client_id, client=cognito)
    try:
        return srp.authenticate_user()
    except ForceChangePasswordException:
        return srp.set_new_password_challenge(ask_new())
    except MFAChallengeException as error:
        msg = f"{email} has a second factor, which this command does not support. Use a user without one."
        raise CommandRefused(msg) from error
