"""HTTP API of a tenant's own keys for providers."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from services.agents import wiring
from services.agents.provider_keys import domain, operations, table
from services.agents.provider_keys.schemas import (
    NewProviderKey,
    ProviderKey,
    ProviderKeyResponse,
    ProviderKeysResponse,
)
from shared.http.call import Caller, CurrentCall
from shared.http.responses import no_content, ok
from shared.http.router import Router
from shared.tenancy.permissions import Feature, Role

router = Router()

_PROVIDER_KEYS = "/v1/tenants/{tenant_id}/provider-keys"
_PROVIDER_KEY = f"{_PROVIDER_KEYS}/{{provider}}"


@router.route("GET", _PROVIDER_KEYS, min_role=Role.OBSERVER)
def list_provider_keys(caller: Caller) -> Response[ProviderKeysResponse]:
    """List the providers for which the tenant has its own key. The keys themselves cannot be read."""
    keys = table.list_keys(wiring.tenant_store(), caller.tenant_id)
    return ok(ProviderKeysResponse(provider_keys=[ProviderKey.model_validate(key) for key in keys]))


@router.route("PATCH", _PROVIDER_KEY, min_role=Role.TENANT_ADMIN, feature=Feature.AGENTS, documented=False)
@router.route("PUT", _PROVIDER_KEY, min_role=Role.TENANT_ADMIN, feature=Feature.AGENTS)
def set_provider_key(
    caller: Caller, call: CurrentCall, provider: str, body: Annotated[NewProviderKey, Body()]
) -> Response[ProviderKeyResponse]:
    """Store the tenant's own key for a provider. Runs use it within a minute."""
    key = domain.ProviderKey(provider, body.api_key, body.base_url)
    stored = operations.put_provider_key(
        wiring.tenant_store(), wiring.vault(), caller.tenant_id, key, base_urls=wiring.base_urls(), now=call.now
    )
    return ok(ProviderKeyResponse(provider_key=ProviderKey.model_validate(stored)))


@router.route("DELETE", _PROVIDER_KEY, min_role=Role.TENANT_ADMIN, feature=Feature.AGENTS)
def delete_provider_key(caller: Caller, provider: str) -> Response[None]:
    """Delete the tenant's own key for a provider. Runs stop using it within a minute."""
    operations.remove_provider_key(wiring.tenant_store(), wiring.vault(), caller.tenant_id, provider)
    return no_content()
