"""A test user of the user pool, who signs in with a password and renews tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cli.password import new_password
from cli.sign_in import SignInPool
from tests.mesh import Mesh


@dataclass(frozen=True)
class JourneyUser:
    """A user of the pool."""

    pool: SignInPool
    email: str
    password: str

    @classmethod
    def of(cls, mesh: Mesh, email: str) -> "JourneyUser":
        """Return the user with this address, after setting a new password."""
        pool, password = SignInPool.of(mesh.target), new_password()
        pool.cognito.admin_set_user_password(UserPoolId=pool.pool_id, Username=email, Password=password, Permanent=True)
        return cls(pool, email, password)

    def sign_in(self) -> Mapping[str, str]:
        """Sign in and return the tokens."""
        return self._tokens("USER_PASSWORD_AUTH", {"USERNAME": self.email, "PASSWORD": self.password})

    def renew(self, refresh_token: str) -> Mapping[str, str]:
        """Return new tokens for a refresh token."""
        return self._tokens("REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": refresh_token})

    def _tokens(self, flow: Any, parameters: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ANN401 — as botocore's
        response: Any = self.pool.cognito.initiate_auth(
            ClientId=self.pool.client_id, AuthFlow=flow, AuthParameters=parameters
        )
        return response["AuthenticationResult"]

    @property
    def is_enabled(self) -> bool:
        """Return whether the user is enabled, as an operator sees it."""
        return bool(self._get().get("Enabled"))

    @property
    def attributes(self) -> dict[str, str]:
        """Return the user's attributes in the pool, as an operator sees them."""
        return {entry["Name"]: str(entry.get("Value")) for entry in self._get()["UserAttributes"]}

    def _get(self) -> Any:  # noqa: ANN401 — as botocore's
        return self.pool.cognito.admin_get_user(UserPoolId=self.pool.pool_id, Username=self.email)
