"""The API keys of providers: the tenant's own, else the platform's."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError

from services.runs.providers.domain.parameters import is_openai_itself
from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.gateway.addresses import is_official, server_of
from shared.aws.credentials import acting_for
from shared.errors import DependencyUnavailable

_CACHE_LIFETIME = timedelta(seconds=60)
MAX_CACHED_KEYS = 2_000
"""The number of keys that one container caches; the oldest are evicted."""
_KEYLESS = frozenset({"simulated", "bedrock"})
"""The built-in provider, and the provider that is called with the function's own role."""
_MISSING = frozenset({"ResourceNotFoundException", "InvalidRequestException"})
"""The secret does not exist, or is scheduled for deletion."""


class SecretReader(Protocol):
    """The operations of botocore's Secrets Manager client that are called."""

    def get_secret_value(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """Call GetSecretValue."""


@dataclass(frozen=True, slots=True)
class _CachedKey:
    """A cached key, or the fact that the tenant has no key."""

    key: str | None = field(repr=False)
    base_url: str | None
    """The server that the key belongs to; None: the provider's own."""
    read_at: datetime


class ProviderKeys:
    """Reader of keys, which are cached for a minute.

    Args:
        environment: the environment of the secrets, for example `dev`.
        of_tenant: returns a client with access to the secrets of the current tenant.
        of_platform: returns a client with the function's own role.
        clock: returns the current time.
    """

    def __init__(
        self,
        environment: str,
        *,
        of_tenant: Callable[[], SecretReader],
        of_platform: Callable[[], SecretReader],
        clock: Callable[[], datetime],
    ) -> None:
        self._prefix = f"ainexus-{environment}"
        self._of_tenant = of_tenant
        self._of_platform = of_platform
        self._clock = clock
        self._cache: dict[str, _CachedKey] = {}

    def of(self, tenant_id: str, provider: str) -> str | None:
        """Return the key for the provider's own server: the tenant's, else the platform's.

        Raises:
            DependencyUnavailable: the secrets cannot be read.
        """
        own = self.own(tenant_id, provider, base_url=None)
        if own is not None:
            return own
        return self._read(f"{self._prefix}/{provider}/key", self._of_platform).key

    def own(self, tenant_id: str, provider: str, *, base_url: str | None) -> str | None:
        """Return the tenant's key for this server; a key is sent only to the server that it belongs to.

        Raises:
            DependencyUnavailable: the secrets cannot be read.
        """
        with acting_for(tenant_id):
            cached = self._read(f"{self._prefix}/tenants/{tenant_id}/{provider}/key", self._of_tenant)
        server = server_of(provider, base_url)
        return cached.key if server and server == server_of(provider, cached.base_url) else None

    def for_request(self, tenant_id: str, request: ModelRequest) -> str | None:
        """Return the key for this request; empty if none is needed, None if one is missing.

        A server that a tenant has configured never receives the platform's key, nor the tenant's key for another
        server: everyone who can write an agent's config could have the key sent anywhere. Azure and OpenAI's regional
        hosts need a key of the tenant's own; other servers may need none.

        Raises:
            DependencyUnavailable: the secrets cannot be read.
        """
        if request.provider in _KEYLESS:
            return ""
        if request.provider == "azure":
            return self._of_azure(tenant_id, request.base_url)
        if is_official(request.provider, request.base_url):
            return self.of(tenant_id, request.provider)
        own = self.own(tenant_id, request.provider, base_url=request.base_url)
        return own if own or is_openai_itself(request) else ""

    def _of_azure(self, tenant_id: str, base_url: str | None) -> str | None:
        """Return the tenant's key for this server, which may be stored under either name of its provider."""
        if base_url is None:
            return None
        own = (self.own(tenant_id, name, base_url=base_url) for name in ("azure", "openai"))
        return next(filter(None, own), None)

    def _read(self, name: str, client: Callable[[], SecretReader]) -> _CachedKey:
        now = self._clock()
        cached = self._cache.get(name)
        if cached is None or now - cached.read_at >= _CACHE_LIFETIME:
            document = _document(_secret(client(), name))
            cached = _CachedKey(_text(document, "api_key"), _text(document, "base_url"), now)
            if len(self._cache) >= MAX_CACHED_KEYS:
                self._cache.pop(next(iter(self._cache)), None)
            self._cache[name] = cached
        return cached


def _secret(client: SecretReader, name: str) -> str:
    try:
        return client.get_secret_value(SecretId=name).get("SecretString", "")
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _MISSING:
            return ""
        raise _unreadable() from None
    except BotoCoreError:
        raise _unreadable() from None


def _unreadable() -> DependencyUnavailable:
    return DependencyUnavailable("The keys of providers cannot be read now.", retry_after_s=1)


def _document(secret: str) -> Mapping[str, Any]:
    """Return the object in a secret; empty if the secret is missing or not a JSON object."""
    try:
        document = json.loads(secret or "{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}


def _text(document: Mapping[str, Any], name: str) -> str | None:
    text = document.get(name)
    return text if isinstance(text, str) and text else None
