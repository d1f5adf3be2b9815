"""The user pool and its one client."""

from aws_cdk import Duration
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from infra.function import removal
from infra.mesh import Mesh
from infra.review import accept

_CUSTOM = ("tenant_id", "role", "plan", "features")


class Users(Construct):
    """The users who may sign in. Only an admin creates users."""

    def __init__(self, scope: Construct, mesh: Mesh) -> None:
        super().__init__(scope, "Users")
        self.pool = self._pool(mesh)
        accept(self.pool, "COG2", "COG8")
        self.client = self._client(mesh)

    def _pool(self, mesh: Mesh) -> cognito.UserPool:
        return cognito.UserPool(
            self,
            "Pool",
            user_pool_name=mesh.names.user_pool,
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            sign_in_case_sensitive=False,
            auto_verify=cognito.AutoVerifiedAttrs(email=True),
            standard_attributes=cognito.StandardAttributes(
                # A required attribute is always writable by the client. An address is required to sign in anyway.
                email=cognito.StandardAttribute(required=False, mutable=True),
                given_name=cognito.StandardAttribute(required=False, mutable=True),
                family_name=cognito.StandardAttribute(required=False, mutable=True),
            ),
            custom_attributes={
                "tenant_id": cognito.StringAttribute(mutable=False, min_len=1, max_len=63),
                "role": cognito.StringAttribute(mutable=True, max_len=32),
                "plan": cognito.StringAttribute(mutable=True, max_len=32),
                "features": cognito.StringAttribute(mutable=True, max_len=2048),
            },
            password_policy=cognito.PasswordPolicy(
                min_length=12, require_digits=True, require_lowercase=True, require_symbols=True, require_uppercase=True
            ),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            deletion_protection=mesh.profile.retain,
            removal_policy=removal(retain=mesh.profile.retain),
        )

    def _client(self, mesh: Mesh) -> cognito.UserPoolClient:
        names = cognito.ClientAttributes().with_standard_attributes(given_name=True, family_name=True)
        readable = names.with_standard_attributes(email=True, email_verified=True)
        return self.pool.add_client(
            "Client",
            user_pool_client_name=mesh.names.user_pool,
            generate_secret=False,
            auth_flows=cognito.AuthFlow(user_srp=True, user_password=mesh.profile.password_sign_in),
            disable_o_auth=True,
            id_token_validity=Duration.minutes(15),
            access_token_validity=Duration.minutes(15),
            refresh_token_validity=Duration.days(30),
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            read_attributes=readable.with_custom_attributes(*_CUSTOM),
            # A user who could write custom:* could choose a tenant, and one who could write email could occupy the
            # address of another user. The list is not empty, because Cognito then lets the client write every standard
            # attribute. Names have no meaning in this product.
            write_attributes=names,
        )
