"""Signing in by SRP, as a person does where passwords must not be sent."""

import pytest

from cli.password import new_password
from cli.sign_in import Pool
from cli.srp import sign_in_by_srp
from tests.journeys.steps import TENANT
from tests.mesh import DEVELOPER, Mesh

# pycognito takes the time in a way that Python will give up one day.
pytestmark = [pytest.mark.mesh, pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")]


class TestSignInBySrp:
    def test_asks_for_a_new_password_once_and_its_token_opens_the_api(self, mesh: Mesh) -> None:
        pool, first, second = Pool.of(mesh.target), new_password(), new_password()
        pool.cognito.admin_set_user_password(
            UserPoolId=pool.pool_id, Username=DEVELOPER, Password=first, Permanent=False
        )
        asked: list[str] = []

        def ask_new() -> str:
            asked.append(second)
            return second

        for password in (first, second):
            answer = sign_in_by_srp(
                pool.cognito,
                pool_id=pool.pool_id,
                client_id=pool.client_id,
                email=DEVELOPER,
                password=password,
                ask_new=ask_new,
            )
            token = answer["AuthenticationResult"]["IdToken"]
            assert mesh.call("GET", f"{TENANT}/runs", token=token).status == 200
        assert asked == [second]

    def test_refuses_a_wrong_password(self, mesh: Mesh) -> None:
        pool = Pool.of(mesh.target)
        with pytest.raises(pool.cognito.exceptions.NotAuthorizedException):
            sign_in_by_srp(
                pool.cognito,
                pool_id=pool.pool_id,
                client_id=pool.client_id,
                email=DEVELOPER,
                password="not the password",
                ask_new=new_password,
            )
