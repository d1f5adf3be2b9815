"""Signing in without sending the password: SRP, the one way that every environment has."""

from collections.abc import Callable
from typing import Any

from cli.errors import Refused


def sign_in_by_srp(
    cognito: Any,  # noqa: ANN401 — boto3 makes clients from data
    *,
    pool_id: str,
    client_id: str,
    email: str,
    password: str,
    ask_new: Callable[[], str],
) -> Any:  # noqa: ANN401 — as above
    """Sign a user in, and give back what the user pool answers.

    Args:
        cognito: its client.
        pool_id: the user pool.
        client_id: its app client.
        email: the user's address.
        password: the user's.
        ask_new: called when the pool wants a new password first.

    Raises:
        Refused: the pool asks for a second factor.
    """
    # Only now: signing in is one command of many, and this takes half a second.
    from pycognito.aws_srp import AWSSRP  # pyright: ignore[reportMissingTypeStubs] — it has none
    from pycognito.exceptions import (  # pyright: ignore[reportMissingTypeStubs] — as above
        ForceChangePasswordException,
        MFAChallengeException,
    )

    way: Any = AWSSRP(username=email, password=password, pool_id=pool_id, client_id=client_id, client=cognito)
    try:
        return way.authenticate_user()
    except ForceChangePasswordException:
        return way.set_new_password_challenge(ask_new())
    except MFAChallengeException as error:
        msg = f"{email} has a second factor, which this command cannot ask for. Use a user without one."
        raise Refused(msg) from error
