"""Access through the gateway of a deployed mesh, with users of its pool and tokens that the pool has signed."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

from cli.api import ApiRequest, ApiResponse, send
from cli.sign_in import SignInPool, sign_in_as_operator
from shared.declaration import Slice
from shared.storage.store import Store
from tests.isolation.checkout import pay
from tests.isolation.request import Caller, Request
from tests.journeys.steps import wait_for
from tests.mesh import PLATFORM_ADMIN, Mesh


@dataclass
class DeployedApi:
    """Access to a deployed mesh."""

    mesh: Mesh
    _users: dict[Caller, str] = field(default_factory=dict[Caller, str])
    """The addresses of the callers' users in the pool."""

    def send(self, request: Request) -> ApiResponse:
        """See `ApiAccess.send`."""
        encoded = {name: quote(value, safe="") for name, value in request.parameters.items()}
        path = request.operation.path.format(**encoded)
        query = f"?{urlencode(request.query)}" if request.query else ""
        token = request.token or (self.token(request.caller) if request.caller else None)
        return send(
            ApiRequest(request.operation.method, f"{self.mesh.api}{path}{query}", request.body, request.headers, token)
        )

    def deliver_events(self, until: Callable[[], bool] = lambda: True) -> None:
        """See `ApiAccess.deliver_events`. Other events are delivered in the background."""
        wait_for(until, description="all events arrive")

    def store(self, owned: Slice) -> Store:
        """See `ApiAccess.store`."""
        name = self.mesh.outputs[f"{owned.table.name.title()}TableName"]
        return Store(self.mesh.clients.dynamodb, table=name, owned=owned)

    def pay(self, url: str) -> None:
        """See `ApiAccess.pay`."""
        pay(url)

    def forged_tokens(self, victim: Caller, attacker: Caller) -> Mapping[str, Any]:
        """See `ApiAccess.forged_tokens`."""
        head, body, signature = self.token(attacker).split(".")
        claims = _decoded(body)
        foreign = _encoded(claims | {"custom:tenant_id": victim.tenant_id, "custom:role": victim.role})
        operator = {name: value for name, value in claims.items() if name != "custom:tenant_id"}
        return {
            "another client of the pool": self._token_of_another_client(victim),
            "not a token": "INVALID",
            "changed claims": f"{head}.{foreign}.{signature}",
            "no signature": f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{foreign}.",
            "another signature": f"{head}.{foreign}.{_encoded({'signed': 'by me'})}",
            "a platform admin": f"{head}.{_encoded(operator | {'custom:role': 'platform_admin'})}.{signature}",
        }

    def token(self, caller: Caller) -> str:
        """Return the id token of a caller. Its user is created in the pool if necessary."""
        return self.mesh.token(self.email(caller))

    def _token_of_another_client(self, caller: Caller) -> str:
        """Return an id token of the same user that the pool has signed for another client."""
        pool = SignInPool.of(self.mesh.target)
        client: Any = pool.cognito.create_user_pool_client(
            UserPoolId=pool.pool_id, ClientName="another", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
        )
        return sign_in_as_operator(
            replace(pool, client_id=client["UserPoolClient"]["ClientId"]), self.email(caller)
        ).token

    def email(self, caller: Caller) -> str:
        """Return the address of a caller's user."""
        if caller.tenant_id is None:
            return PLATFORM_ADMIN
        if caller not in self._users:
            email = f"{caller.role.replace('_', '-')}-{caller.number}@{caller.tenant_id}.example"
            payload = {"email": email, "email_verified": "true"}
            payload |= {"custom:tenant_id": caller.tenant_id, "custom:role": caller.role.value}
            self.mesh.clients.cognito.admin_create_user(
                UserPoolId=self.mesh.outputs["UserPoolId"],
                Username=email,
                MessageAction="SUPPRESS",
                UserAttributes=[{"Name": name, "Value": value} for name, value in payload.items()],
            )
            self._users[caller] = email
        return self._users[caller]


def _decoded(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _encoded(document: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
