"""A user at the pool: signs in with a password, renews, and is what the pool says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cli.password import new_password
from cli.sign_in import Pool
from tests.mesh import Mesh


@dataclass(frozen=True)
class Person:
    """Somebody who is in the pool."""

    pool: Pool
    email: str
    password: str

    @classmethod
    def of(cls, mesh: Mesh, email: str) -> "Person":
        """The user with this address, who has another password from now on."""
        pool, password = Pool.of(mesh.target), new_password()
        pool.cognito.admin_set_user_password(UserPoolId=pool.pool_id, Username=email, Password=password, Permanent=True)
        return cls(pool, email, password)

    def sign_in(self) -> Mapping[str, str]:
        """The tokens."""
        return self._tokens("USER_PASSWORD_AUTH", {"USERNAME": self.email, "PASSWORD": self.password})

    def renew(self, refresh_token: str) -> Mapping[str, str]:
        """Fresh tokens."""
        return self._tokens("REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": refresh_token})

    def _tokens(self, flow: Any, parameters: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ANN401 — as botocore's
        said: Any = self.pool.cognito.initiate_auth(
            ClientId=self.pool.client_id, AuthFlow=flow, AuthParameters=parameters
        )
        return said["AuthenticationResult"]

    @property
    def is_enabled(self) -> bool:
        """Whether an operator sees that the user may sign in."""
        return bool(self._known().get("Enabled"))

    @property
    def attributes(self) -> dict[str, str]:
        """What the pool says of the user, as an operator sees it."""
        return {entry["Name"]: str(entry.get("Value")) for entry in self._known()["UserAttributes"]}

    def _known(self) -> Any:  # noqa: ANN401 — as botocore's
        return self.pool.cognito.admin_get_user(UserPoolId=self.pool.pool_id, Username=self.email)
