"""The way through the gateway of a deployed mesh, with users of its pool and with tokens that it has signed."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

from cli.api import ApiRequest, ApiResponse, send
from cli.sign_in import Pool, sign_in_as_operator
from shared.declaration import Slice
from shared.storage.store import Store
from tests.isolation.request import Caller, Request
from tests.isolation.till import pay
from tests.journeys.steps import wait_for
from tests.mesh import PLATFORM_ADMIN, Mesh


@dataclass
class Outside:
    """A way into a mesh."""

    mesh: Mesh
    _users: dict[Caller, str] = field(default_factory=dict[Caller, str])
    """The address of each caller that has a user."""

    def send(self, request: Request) -> ApiResponse:
        """See `Way.send`."""
        encoded = {name: quote(value, safe="") for name, value in request.parameters.items()}
        path = request.operation.path.format(**encoded)
        query = f"?{urlencode(request.query)}" if request.query else ""
        token = request.token or (self.token(request.caller) if request.caller else None)
        return send(
            ApiRequest(request.operation.method, f"{self.mesh.api}{path}{query}", request.body, request.headers, token)
        )

    def settle(self, until: Callable[[], bool] = lambda: True) -> None:
        """See `Way.settle`; what is not waited for arrives meanwhile."""
        wait_for(until, what="all events arrive")

    def store(self, owned: Slice) -> Store:
        """See `Way.store`."""
        name = self.mesh.outputs[f"{owned.table.name.title()}TableName"]
        return Store(self.mesh.clients.dynamodb, table=name, owned=owned)

    def pay(self, url: str) -> None:
        """See `Way.pay`."""
        pay(url)

    def forgeries(self, victim: Caller, attacker: Caller) -> Mapping[str, Any]:
        """See `Way.forgeries`."""
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
        """The id token of a caller, who is a user of the pool from now on."""
        return self.mesh.token(self.email(caller))

    def _token_of_another_client(self, caller: Caller) -> str:
        """An id token of the same user, which the pool has signed for a client that is not ours."""
        pool = Pool.of(self.mesh.target)
        made: Any = pool.cognito.create_user_pool_client(
            UserPoolId=pool.pool_id, ClientName="another", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
        )
        return sign_in_as_operator(
            replace(pool, client_id=made["UserPoolClient"]["ClientId"]), self.email(caller)
        ).token

    def email(self, caller: Caller) -> str:
        """The address of a caller's user."""
        if caller.tenant_id is None:
            return PLATFORM_ADMIN
        if caller not in self._users:
            email = f"{caller.role.replace('_', '-')}-{caller.number}@{caller.tenant_id}.example"
            said = {"email": email, "email_verified": "true"}
            said |= {"custom:tenant_id": caller.tenant_id, "custom:role": caller.role.value}
            self.mesh.clients.cognito.admin_create_user(
                UserPoolId=self.mesh.outputs["UserPoolId"],
                Username=email,
                MessageAction="SUPPRESS",
                UserAttributes=[{"Name": name, "Value": value} for name, value in said.items()],
            )
            self._users[caller] = email
        return self._users[caller]


def _decoded(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _encoded(document: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
