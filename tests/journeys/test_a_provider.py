"""An agent on a server of ours that speaks OpenAI's Chat Completions, with the real SDK, through the whole mesh.

First of all journeys: workers keep for a minute that a tenant has no key.
"""

from collections.abc import Generator

import pytest

from tests.journeys.steps import Steps
from tests.services.runs.providers.server import Pause, ProviderServer, provider_server
from tests.services.runs.providers.speakers import CHAT, framed, frames, refused
from tests.services.runs.providers.wire import Answer, Used

pytestmark = pytest.mark.mesh

KEY = "sk-journey-0123456789"
WAIT = {"Prefer": "wait=25"}
USED = Used(tokens_in=1_000, cache_read=700, tokens_out=60, reasoning=40)
COUNTED = {"tokens_in": 1_000, "tokens_cache_read": 700, "tokens_out": 60, "tokens_reasoning": 40}


@pytest.fixture
def server() -> Generator[ProviderServer]:
    """A provider of ours on this machine."""
    with provider_server() as serving:
        yield serving


class TestCompatibleServer:
    def test_is_given_the_tenants_key_streams_and_is_counted_as_it_says(
        self, steps: Steps, server: ProviderServer
    ) -> None:
        base_url = f"{server.url}/v1"
        self._keep_key(steps, base_url)
        agent_id = steps.agent(model="llama-3", base_url=base_url, system_prompt="Be kind.")
        opening, *middle = frames(CHAT, Answer(used=USED)).all
        server.say(refused(CHAT, 503, Retry_After="0"), framed(CHAT, opening, Pause(0.7), *middle))
        run = steps.submit(agent_id, "Hello", headers=WAIT)
        assert (run["status"], run["output"], run["simulated"]) == ("completed", {"message": "Hello, world"}, False)
        assert {meter: run["usage"][meter] for meter in COUNTED} == COUNTED
        calls = run["attempts"][0]["calls"]
        assert [(call["provider"], call["model"], call["status"]) for call in calls] == [
            ("openai", "llama-3", "failed"),
            ("openai", "llama-3", "completed"),
        ]
        assert run["attempts"][0]["usage_certain"]
        heard = server.received[-1]
        headers = {name.lower(): value for name, value in heard.headers.items()}
        assert (heard.path, headers["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")
        assert (heard.body["stream"], heard.body["messages"][0]["content"]) == (True, "Be kind.")
        steps.assert_counted_once(agent_id, [run])
        assert steps.call("DELETE", "/provider-keys/openai").status == 204

    def _keep_key(self, steps: Steps, base_url: str) -> None:
        """Given, taken away and given again: a secret that is being deleted is brought back."""
        key = {"api_key": KEY, "base_url": base_url}
        first = steps.call("PUT", "/provider-keys/openai", {"api_key": "sk-of-before"})
        assert first.body["provider_key"] == {"provider": "openai", "base_url": None}, first
        assert steps.call("DELETE", "/provider-keys/openai").status == 204
        answer = steps.call("PUT", "/provider-keys/openai", key)
        assert (answer.status, KEY in str(answer)) == (200, False)
