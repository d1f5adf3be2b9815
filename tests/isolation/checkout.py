"""The page of a checkout of the local Stripe, and what it tells of it."""

import json
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from typing import Any

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def pay(url: str) -> None:
    """Do what a person does on the page; it sends on to the front end, which does not run here."""
    body = urllib.parse.urlencode({"action": "pay", "number": "4242424242424242"}).encode()
    request = urllib.request.Request(url, data=body)  # noqa: S310 — the local Stripe's
    with suppress(urllib.error.URLError), _DIRECT.open(request, timeout=30):
        return


def events_at(stripe: str) -> list[dict[str, Any]]:
    """All events of a local Stripe, oldest first."""
    with _DIRECT.open(f"{stripe}/_local/events", timeout=30) as answer:
        return json.load(answer)["events"]
