"""Run the local Stripe in the foreground: `python -m sandbox.stripe`. Environment variables configure it."""

import os
import signal
import threading
from pathlib import Path

from sandbox.stripe import keys
from sandbox.stripe.server import LocalStripe


def main() -> None:
    """Serve requests until SIGTERM or SIGINT."""
    folder = Path(os.environ["STRIPE_STATE_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    server = LocalStripe(
        keys.load_keys(folder),
        int(os.environ["STRIPE_PORT"]),
        folder / "stripe.db",
        mark=os.environ.get("STRIPE_MARK", ""),
    )
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda _number, _frame: ended.set())
    server.start()
    ended.wait()
    server.stop()


if __name__ == "__main__":
    main()
