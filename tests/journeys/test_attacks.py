"""Attacks of two tenants on each other through the gateway of a deployed mesh, and on its user pool."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.admin import invoke_command
from cli.password import new_password
from services.tenants import table
from services.tenants.operations.tenants import create_tenant
from shared.ids import new_id
from shared.plans import Plan
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.isolation.campaign import Report, attack_all, estates, succeed_all
from tests.isolation.estate import Estate
from tests.isolation.operation import operations_of
from tests.isolation.outside import Outside
from tests.isolation.request import Caller
from tests.journeys.person import Person
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

MOST = 2
"""Attacks of each family on each operation; all of them are made inside, in `tests/isolation`."""


@dataclass(frozen=True)
class Field:
    """Two tenants of one mesh, each with something of everything."""

    way: Outside
    victim: Estate
    attacker: Estate


@pytest.fixture(name="field", scope="module")
def make_field(mesh: Mesh) -> Field:
    """Two tenants, one of which begins like the other."""
    store = Store(mesh.clients.dynamodb, table=mesh.outputs["TenantsTableName"], owned=table.SLICE)
    tenant_id = f"acme-{new_id('t', datetime.now(UTC))[-8:].lower()}"
    both = (tenant_id, f"{tenant_id}2")
    for one in both:
        create_tenant(store, one, name=one, plan=Plan.ENTERPRISE, now=datetime.now(UTC))
    invoke_command(mesh.target, "setup", service="billing")
    way = Outside(mesh)
    document = mesh.call("GET", "/v1/openapi.json", user=None).body
    victim, attacker = estates(way, operations_of(document), *both, canary="9c4b")
    return Field(way, victim, attacker)


class TestApi:
    def test_blocks_all_attacks_and_serves_their_twins(self, field: Field, show: Callable[[str], None]) -> None:
        report = Report()
        # A reference to what was made a moment ago is waited for, 5 s each; inside, it is old.
        attack_all(
            report,
            victim=field.victim,
            attacker=field.attacker,
            most=MOST,
            chosen=lambda attack: attack.family != "reference",
        )
        succeed_all(report, field.victim)
        show(f"through the gateway: {report}")
        assert (report.breaches, report.failures) == ([], [])
        assert report.attacked == {operation.name for operation in field.victim.operations if operation.least}


class TestPool:
    def test_lets_nobody_sign_up_by_themselves(self, mesh: Mesh, field: Field) -> None:
        cognito, client_id = mesh.clients.cognito, mesh.outputs["UserPoolClientId"]
        pool = cognito.describe_user_pool(UserPoolId=mesh.outputs["UserPoolId"])["UserPool"]
        assert pool.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly") is True
        email, password = f"intruder@{field.attacker.tenant_id}.example", new_password()
        wanted = {"email": email, "custom:tenant_id": field.victim.tenant_id, "custom:role": "tenant_admin"}
        for names in (wanted, ["email"]):
            attributes: list[Any] = [{"Name": name, "Value": wanted[name]} for name in names]
            with pytest.raises(cognito.exceptions.NotAuthorizedException, match="not permitted for this user pool"):
                cognito.sign_up(ClientId=client_id, Username=email, Password=password, UserAttributes=attributes)
        with pytest.raises(cognito.exceptions.NotAuthorizedException):
            cognito.initiate_auth(
                ClientId=client_id,
                AuthFlow="USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": email, "PASSWORD": password},
            )

    def test_lets_nobody_write_what_a_token_says_of_them(self, mesh: Mesh, field: Field) -> None:
        cognito = mesh.clients.cognito
        person = Person.of(mesh, field.way.email(Caller(field.attacker.tenant_id, Role.DEVELOPER)))
        access_token, before = person.sign_in()["AccessToken"], person.attributes
        name: Any = {"Name": "given_name", "Value": "Eve"}
        for wanted, value in {
            "custom:tenant_id": field.victim.tenant_id,
            "custom:role": "platform_admin",
            "custom:plan": "enterprise",
            "custom:features": "all",
            "email_verified": "true",
        }.items():
            forged: Any = {"Name": wanted, "Value": value}
            for attributes in ([forged], [name, forged]):
                with pytest.raises(cognito.exceptions.NotAuthorizedException, match="unauthorized attribute"):
                    cognito.update_user_attributes(AccessToken=access_token, UserAttributes=attributes)
        assert person.attributes == before
        cognito.update_user_attributes(AccessToken=access_token, UserAttributes=[name])
        assert person.attributes == {**before, "given_name": "Eve"}

    def test_has_no_attribute_of_ours_that_its_client_may_write(self, mesh: Mesh) -> None:
        pool_id, client_id = mesh.outputs["UserPoolId"], mesh.outputs["UserPoolClientId"]
        client = mesh.clients.cognito.describe_user_pool_client(UserPoolId=pool_id, ClientId=client_id)[
            "UserPoolClient"
        ]
        writable = client.get("WriteAttributes", [])
        assert writable, "a client without a list may write everything"
        assert [name for name in writable if name.startswith("custom:")] == []
        pool = mesh.clients.cognito.describe_user_pool(UserPoolId=pool_id)["UserPool"]
        [tenant] = [one for one in pool.get("SchemaAttributes", []) if one.get("Name") == "custom:tenant_id"]
        assert tenant.get("Mutable") is False
