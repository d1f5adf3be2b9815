"""Stripe's keys, as an operator put them in. Until then the secret is `{}`, which means: no Stripe."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from services.billing.errors import PaymentsUnavailable

_KEPT_S = 60


@dataclass(frozen=True, slots=True)
class StripeSecret:
    """What is needed to speak to Stripe and to know it."""

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


class StripeSecrets:
    """Reads the secret, at most once a minute."""

    def __init__(self, client: Any, *, name: str, monotonic: Callable[[], float] = time.monotonic) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._name = name
        self._monotonic = monotonic
        self._kept: tuple[float, StripeSecret | None] | None = None

    def read(self) -> StripeSecret | None:
        """The secret; None where no key is put in.

        Raises:
            PaymentsUnavailable: the secret cannot be read.
        """
        now = self._monotonic()
        if self._kept is None or now - self._kept[0] > _KEPT_S:
            self._kept = (now, self._fetch())
        return self._kept[1]

    def _fetch(self) -> StripeSecret | None:
        try:
            text = str(self._client.get_secret_value(SecretId=self._name)["SecretString"])
        except (BotoCoreError, ClientError) as error:
            raise PaymentsUnavailable from error
        try:
            fields: dict[str, Any] = dict(json.loads(text))
        except (TypeError, ValueError):
            msg = "Stripe's secret is no JSON object; an operator puts it in with `ainexus secrets set stripe`."
            # Not from the cause, whose text is the secret.
            raise PaymentsUnavailable(msg) from None
        if not fields.get("api_key"):
            return None
        return StripeSecret(str(fields["api_key"]), str(fields.get("webhook_secret", "")))
