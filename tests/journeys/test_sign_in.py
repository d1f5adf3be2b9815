"""Sign-in by SRP, as for users in environments that do not allow passwords to be sent."""

import pytest

from cli.password import new_password
from cli.sign_in import SignInPool
from cli.srp import sign_in_by_srp
from tests.journeys.steps import TENANT
from tests.mesh import DEVELOPER, Mesh

# pycognito reads the time with a deprecated function of Python.
pytestmark = [pytest.mark.mesh, pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")]


class TestSignInBySrp:
    def test_requests_a_new_password_once_and_returns_a_valid_token(self, mesh: Mesh) -> None:
        pool, first, second = SignInPool.of(mesh.target), new_password(), new_password()
        pool.cognito.admin_set_user_password(
            UserPoolId=pool.pool_id, Username=DEVELOPER, Password=first, Permanent=False
        )
        requested: list[str] = []

        def ask_new() -> str:
            requested.append(second)
            return second

        for password in (first, second):
            response = sign_in_by_srp(
                pool.cognito,
                pool_id=pool.pool_id,
                client_id=pool.client_id,
                email=DEVELOPER,
                password=password,
                ask_new=ask_new,
            )
            token = response["AuthenticationResult"]["IdToken"]
            assert mesh.call("GET", f"{TENANT}/runs", token=token).status == 200
        assert requested == [second]

    def test_refuses_a_wrong_password(self, mesh: Mesh) -> None:
        pool = SignInPool.of(mesh.target)
        with pytest.raises(pool.cognito.exceptions.NotAuthorizedException):
            sign_in_by_srp(
                pool.cognito,
                pool_id=pool.pool_id,
                client_id=pool.client_id,
                email=DEVELOPER,
                password="not the password",
                ask_new=new_password,
            )
