"""The keys of one local Stripe, made once and kept beside its state, for their owner alone."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

PREFIX = "sk_test_local_"
"""Tells a key of a local Stripe from one of the real one."""


@dataclass(frozen=True)
class Keys:
    """What clients and the mesh know a Stripe by; also the contents of the mesh's secret."""

    api_key: str
    webhook_secret: str


def kept(folder: Path) -> Keys:
    """The keys of a folder; made when there are none."""
    path = folder / "keys.json"
    if not path.exists():
        made = Keys(f"{PREFIX}{secrets.token_hex(16)}", f"whsec_{secrets.token_hex(24)}")
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(made), file)
    return Keys(**json.loads(path.read_text()))
