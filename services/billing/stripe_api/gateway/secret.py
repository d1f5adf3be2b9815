"""Stripe's keys, as set by an operator. Until then the secret is `{}`, and Stripe is not used."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from services.billing.errors import PaymentsUnavailable

_SECRET_CACHE_S = 60


@dataclass(frozen=True, slots=True)
class StripeSecret:
    """The API key, and the secret that signs webhooks."""

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


class StripeSecrets:
    """Reader of the secret, at most once a minute."""

    def __init__(self, client: Any, *, name: str, monotonic: Callable[[], float] = time.monotonic) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._name = name
        self._monotonic = monotonic
        self._cached: tuple[float, StripeSecret | None] | None = None

    def read(self) -> StripeSecret | None:
        """Return the secret, or None if no key is configured.

        Raises:
            PaymentsUnavailable: the secret cannot be read.
        """
        now = self._monotonic()
        if self._cached is None or now - self._cached[0] > _SECRET_CACHE_S:
            self._cached = (now, self._fetch())
        return self._cached[1]

    def _fetch(self) -> StripeSecret | None:
        try:
            text = str(self._client.get_secret_value(SecretId=self._name)["SecretString"])
        except (BotoCoreError, ClientError) as error:
            raise PaymentsUnavailable from error
        try:
            fields: dict[str, Any] = dict(json.loads(text))
        except (TypeError, ValueError):
            msg = "The Stripe secret is not a JSON object. Set it with `ainexus secrets set stripe`."
            # Without the cause, whose text contains the secret.
            raise PaymentsUnavailable(msg) from None
        if not fields.get("api_key"):
            return None
        return StripeSecret(str(fields["api_key"]), str(fields.get("webhook_secret", "")))
