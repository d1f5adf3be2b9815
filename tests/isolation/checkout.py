"""Client of the local Stripe: pays on its checkout page and reads its events."""

import json
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from typing import Any

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def pay(url: str) -> None:
    """Submit the page as a browser does. It redirects to the front end, which does not run here."""
    body = urllib.parse.urlencode({"action": "pay", "number": "4242424242424242"}).encode()
    request = urllib.request.Request(url, data=body)  # noqa: S310 — the local Stripe's
    with suppress(urllib.error.URLError), _DIRECT.open(request, timeout=30):
        return


def events_at(stripe: str) -> list[dict[str, Any]]:
    """Return all events of a local Stripe, oldest first."""
    with _DIRECT.open(f"{stripe}/_local/events", timeout=30) as response:
        return json.load(response)["events"]
