"""The keys of one local Stripe, made once and kept beside its state, for their owner alone."""

import json
import os
import secrets
from pathlib import Path

from infra.local.stripe.server import Keys

PREFIX = "sk_test_local_"
"""Tells a key of the local Stripe from one of the real one."""


def kept(folder: Path) -> Keys:
    """The keys of a folder; made when there are none."""
    path = folder / "keys.json"
    if not path.exists():
        made = {
            "api_key": f"{PREFIX}{secrets.token_hex(16)}",
            "webhook_secret": f"whsec_{secrets.token_hex(24)}",
        }
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(made, file)
    return Keys(**json.loads(path.read_text()))
