"""The keys of one local Stripe: created once and stored beside its state, readable only by their owner."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

PREFIX = "sk_test_local_"
"""Distinguishes a key of a local Stripe from one of the real Stripe."""


@dataclass(frozen=True)
class StripeKeys:
    """The API key and the webhook secret of a Stripe, as the mesh's secret contains them."""

    api_key: str
    webhook_secret: str


def load_keys(folder: Path) -> StripeKeys:
    """Return the keys in a folder. They are created on first use."""
    path = folder / "keys.json"
    if not path.exists():
        keys = StripeKeys(f"{PREFIX}{secrets.token_hex(16)}", f"whsec_{secrets.token_hex(24)}")
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(keys), file)
    return StripeKeys(**json.loads(path.read_text()))
