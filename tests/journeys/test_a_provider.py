"""An agent on a local server with OpenAI's Chat Completions API, called with the real SDK through the whole mesh.

It is the first journey, because workers cache for a minute that a tenant has no key.
"""

from collections.abc import Generator

import pytest

from tests.journeys.steps import Steps
from tests.services.runs.providers.adapters import CHAT, framed, frames, refused
from tests.services.runs.providers.server import Pause, ProviderServer, provider_server
from tests.services.runs.providers.wire import Answer, Used

pytestmark = pytest.mark.mesh

KEY = "sk-journey-0123456789"
WAIT = {"Prefer": "wait=25"}
USED = Used(tokens_in=1_000, cache_read=700, tokens_out=60, reasoning=40)
COUNTED = {"tokens_in": 1_000, "tokens_cache_read": 700, "tokens_out": 60, "tokens_reasoning": 40}


@pytest.fixture
def server() -> Generator[ProviderServer]:
    """Yield a local provider server."""
    with provider_server() as serving:
        yield serving


class TestCompatibleServer:
    def test_receives_the_tenants_key_and_is_metered_as_reported(self, steps: Steps, server: ProviderServer) -> None:
        base_url = f"{server.url}/v1"
        self._store_key(steps, base_url)
        agent_id = steps.create_agent(model="llama-3", base_url=base_url, system_prompt="Be kind.")
        opening, *middle = frames(CHAT, Answer(used=USED)).all
        server.add_replies(refused(CHAT, 503, Retry_After="0"), framed(CHAT, opening, Pause(0.7), *middle))
        run = steps.submit(agent_id, "Hello", headers=WAIT)
        assert (run["status"], run["output"], run["simulated"]) == ("completed", {"message": "Hello, world"}, False)
        assert {meter: run["usage"][meter] for meter in COUNTED} == COUNTED
        calls = run["attempts"][0]["calls"]
        assert [(call["provider"], call["model"], call["status"]) for call in calls] == [
            ("openai", "llama-3", "failed"),
            ("openai", "llama-3", "completed"),
        ]
        assert run["attempts"][0]["usage_certain"]
        request = server.received[-1]
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert (request.path, headers["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")
        assert (request.body["stream"], request.body["messages"][0]["content"]) == (True, "Be kind.")
        steps.assert_counted_once(agent_id, [run])
        assert steps.call("DELETE", "/provider-keys/openai").status == 204

    def _store_key(self, steps: Steps, base_url: str) -> None:
        """Store the key, delete it and store it again: a secret that is scheduled for deletion is restored."""
        key = {"api_key": KEY, "base_url": base_url}
        first = steps.call("PUT", "/provider-keys/openai", {"api_key": "sk-of-before"})
        stored = first.body["provider_key"]
        assert (stored["provider"], stored["base_url"]) == ("openai", None), first
        assert steps.call("DELETE", "/provider-keys/openai").status == 204
        response = steps.call("PUT", "/provider-keys/openai", key)
        assert (response.status, KEY in str(response)) == (200, False)
