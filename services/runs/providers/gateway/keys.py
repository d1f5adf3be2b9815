"""The keys of providers: the tenant's own, else the platform's."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError

from services.runs.domain.request import ModelRequest
from services.runs.gateways.addresses import is_official, server_of
from shared.errors import DependencyUnavailable
from shared.storage.credentials import acting_for

_KEPT_FOR = timedelta(seconds=60)
MAX_CACHED_KEYS = 2_000
"""Which one container keeps; the oldest are dropped."""
_KEYLESS = frozenset({"simulated", "bedrock"})
"""The built-in provider, and the one that is called with the function's own role."""
_MISSING = frozenset({"ResourceNotFoundException", "InvalidRequestException"})
"""There is no such secret, or it is about to be deleted."""


class Secrets(Protocol):
    """The call that is made; botocore's Secrets Manager client has it."""

    def get_secret_value(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """GetSecretValue."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A key, or that there is none, and since when that is known."""

    key: str | None = field(repr=False)
    base_url: str | None
    """Whose key it is; None: the provider's own."""
    read_at: datetime


class ProviderKeys:
    """Reads keys, and keeps them for a minute.

    Args:
        environment: whose secrets they are, for example `dev`.
        of_tenant: gives a client that reaches the secrets of the tenant that is acted for.
        of_platform: gives a client with the function's own role.
        clock: the current time.
    """

    def __init__(
        self,
        environment: str,
        *,
        of_tenant: Callable[[], Secrets],
        of_platform: Callable[[], Secrets],
        clock: Callable[[], datetime],
    ) -> None:
        self._prefix = f"ainexus-{environment}"
        self._of_tenant = of_tenant
        self._of_platform = of_platform
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def of(self, tenant_id: str, provider: str) -> str | None:
        """The key to call the provider itself with: the tenant's own, else the platform's.

        Raises:
            DependencyUnavailable: the secrets cannot be read.
        """
        own = self.own(tenant_id, provider, base_url=None)
        if own is not None:
            return own
        return self._read(f"{self._prefix}/{provider}/key", self._of_platform).key

    def own(self, tenant_id: str, provider: str, *, base_url: str | None) -> str | None:
        """The tenant's own key for this server; a key is sent to the one server that it was given for.

        Raises:
            DependencyUnavailable: the secrets cannot be read.
        """
        with acting_for(tenant_id):
            kept = self._read(f"{self._prefix}/tenants/{tenant_id}/{provider}/key", self._of_tenant)
        server = server_of(provider, base_url)
        return kept.key if server and server == server_of(provider, kept.base_url) else None

    def for_request(self, tenant_id: str, request: ModelRequest) -> str | None:
        """The key for this request; empty where none is needed, None where one is missing.

        A server that a tenant has named is never given the platform's key, nor the tenant's own for another server:
        whoever may write an agent's config could have it sent anywhere.

        Raises:
            DependencyUnavailable: the secrets cannot be read.
        """
        if request.provider in _KEYLESS:
            return ""
        if is_official(request.provider, request.base_url):
            return self.of(tenant_id, request.provider)
        return self.own(tenant_id, request.provider, base_url=request.base_url) or ""

    def _read(self, name: str, client: Callable[[], Secrets]) -> _Kept:
        now = self._clock()
        kept = self._kept.get(name)
        if kept is None or now - kept.read_at >= _KEPT_FOR:
            document = _document(_secret(client(), name))
            kept = _Kept(_text(document, "api_key"), _text(document, "base_url"), now)
            if len(self._kept) >= MAX_CACHED_KEYS:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[name] = kept
        return kept


def _secret(client: Secrets, name: str) -> str:
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
    """What a secret says; `{}`, and what is no such document, says nothing."""
    try:
        document = json.loads(secret or "{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}


def _text(document: Mapping[str, Any], name: str) -> str | None:
    text = document.get(name)
    return text if isinstance(text, str) and text else None
