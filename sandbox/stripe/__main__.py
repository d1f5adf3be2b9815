"""Runs the local Stripe in the foreground: `python -m infra.local.stripe`, told by its environment."""

import os
import signal
import threading
from pathlib import Path

from infra.local.stripe import keys
from infra.local.stripe.server import LocalStripe


def main() -> None:
    """Answer until told to end."""
    folder = Path(os.environ["STRIPE_STATE_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    server = LocalStripe(
        keys.kept(folder), int(os.environ["STRIPE_PORT"]), folder / "stripe.db", mark=os.environ.get("STRIPE_MARK", "")
    )
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda _number, _frame: ended.set())
    server.start()
    ended.wait()
    server.stop()


if __name__ == "__main__":
    main()
