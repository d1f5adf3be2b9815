"""Attacks of two tenants on each other through the gateway of a deployed mesh, and attacks on its user pool."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.admin import invoke_command
from cli.password import new_password
from services.tenants.partitions import SLICE
from services.tenants.tenants.operations import create_tenant
from shared.ids import new_id
from shared.plans import Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.isolation.attack_suite import Report, create_fixtures, run_attacks, run_controls
from tests.isolation.deployed import DeployedApi
from tests.isolation.operation import operations_of
from tests.isolation.request import Caller
from tests.isolation.tenant_fixture import TenantFixture
from tests.journeys.pool_user import JourneyUser
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

ATTACKS_PER_FAMILY = 2
"""The number of attacks of each family on each operation. `tests/isolation` makes all of them in memory."""


@dataclass(frozen=True)
class TenantPair:
    """Two tenants of one mesh, each with every kind of resource."""

    api: DeployedApi
    victim: TenantFixture
    attacker: TenantFixture


@pytest.fixture(name="pair", scope="module")
def make_pair(mesh: Mesh) -> TenantPair:
    """Create two tenants. The id of one is a prefix of the other's."""
    store = Store(mesh.clients.dynamodb, table=mesh.outputs["TenantsTableName"], owned=SLICE)
    tenant_id = f"acme-{new_id('t', datetime.now(UTC))[-8:].lower()}"
    tenant_ids = (tenant_id, f"{tenant_id}2")
    for one in tenant_ids:
        create_tenant(store, one, name=one, plan=Plan.ENTERPRISE, now=datetime.now(UTC))
    invoke_command(mesh.target, "setup", service="billing")
    api = DeployedApi(mesh)
    document = mesh.call("GET", "/v1/openapi.json", user=None).body
    victim, attacker = create_fixtures(api, operations_of(document), *tenant_ids, canary="9c4b")
    return TenantPair(api, victim, attacker)


class TestApi:
    def test_blocks_all_attacks_and_serves_positive_controls(
        self, pair: TenantPair, show: Callable[[str], None]
    ) -> None:
        report = Report()
        # The API waits up to 5 s for a reference to a new resource. In memory, the resources are old.
        run_attacks(
            report,
            victim=pair.victim,
            attacker=pair.attacker,
            max_per_family=ATTACKS_PER_FAMILY,
            selected=lambda attack: attack.family != "reference",
        )
        run_controls(report, pair.victim)
        show(f"through the gateway: {report}")
        assert (report.breaches, report.failures) == ([], [])
        assert report.attacked == {operation.name for operation in pair.victim.operations if operation.min_role}


class TestUserPool:
    def test_refuses_self_registration(self, mesh: Mesh, pair: TenantPair) -> None:
        cognito, client_id = mesh.clients.cognito, mesh.outputs["UserPoolClientId"]
        pool = cognito.describe_user_pool(UserPoolId=mesh.outputs["UserPoolId"])["UserPool"]
        assert pool.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly") is True
        email, password = f"intruder@{pair.attacker.tenant_id}.example", new_password()
        values = {"email": email, "custom:tenant_id": pair.victim.tenant_id, "custom:role": "tenant_admin"}
        for names in (values, ["email"]):
            attributes: list[Any] = [{"Name": name, "Value": values[name]} for name in names]
            with pytest.raises(cognito.exceptions.NotAuthorizedException, match="not permitted for this user pool"):
                cognito.sign_up(ClientId=client_id, Username=email, Password=password, UserAttributes=attributes)
        with pytest.raises(cognito.exceptions.NotAuthorizedException):
            cognito.initiate_auth(
                ClientId=client_id,
                AuthFlow="USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": email, "PASSWORD": password},
            )

    def test_refuses_changes_to_the_claims_of_tokens(self, mesh: Mesh, pair: TenantPair) -> None:
        cognito = mesh.clients.cognito
        user = JourneyUser.of(mesh, pair.api.email(Caller(pair.attacker.tenant_id, Role.DEVELOPER)))
        access_token, before = user.sign_in()["AccessToken"], user.attributes
        name: Any = {"Name": "given_name", "Value": "Eve"}
        for claim, value in {
            "custom:tenant_id": pair.victim.tenant_id,
            "custom:role": "platform_admin",
            "custom:plan": "enterprise",
            "custom:features": "all",
            "email": pair.api.email(Caller(pair.victim.tenant_id, Role.TENANT_ADMIN)),
            "email_verified": "true",
        }.items():
            forged: Any = {"Name": claim, "Value": value}
            for attributes in ([forged], [name, forged]):
                with pytest.raises(cognito.exceptions.NotAuthorizedException, match="unauthorized attribute"):
                    cognito.update_user_attributes(AccessToken=access_token, UserAttributes=attributes)
        assert user.attributes == before
        cognito.update_user_attributes(AccessToken=access_token, UserAttributes=[name])
        assert user.attributes == {**before, "given_name": "Eve"}

    def test_client_cannot_write_custom_attributes(self, mesh: Mesh) -> None:
        pool_id, client_id = mesh.outputs["UserPoolId"], mesh.outputs["UserPoolClientId"]
        client = mesh.clients.cognito.describe_user_pool_client(UserPoolId=pool_id, ClientId=client_id)[
            "UserPoolClient"
        ]
        writable = client.get("WriteAttributes", [])
        assert writable, "a client without a list may write everything"
        assert sorted(writable) == ["family_name", "given_name"]
        pool = mesh.clients.cognito.describe_user_pool(UserPoolId=pool_id)["UserPool"]
        [tenant] = [one for one in pool.get("SchemaAttributes", []) if one.get("Name") == "custom:tenant_id"]
        assert tenant.get("Mutable") is False
