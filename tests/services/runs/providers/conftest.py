"""One server for all tests of a module, and all providers behind it."""

from collections.abc import Generator
from contextlib import closing

import pytest

from services.runs.gateways.models import ProviderModels
from tests.services.runs.providers import speakers
from tests.services.runs.providers.server import ProviderServer, provider_server


@pytest.fixture(scope="module")
def server() -> Generator[ProviderServer]:
    """A provider of ours on this machine."""
    with provider_server() as serving:
        yield serving


@pytest.fixture(autouse=True)
def forgetful(server: ProviderServer) -> Generator[None]:
    """What one test has left unsaid, the next one does not hear."""
    yield
    server.script.clear()


@pytest.fixture(scope="module")
def models(server: ProviderServer) -> Generator[ProviderModels]:
    """All providers; Bedrock is that server, the others are where a request says."""
    with closing(speakers.models(server.url)) as all_models:
        for speaker in speakers.SPEAKERS:
            # What an SDK imports at its first call must not be measured as the call's time.
            server.say(speakers.answered(speaker))
            assert speakers.hear(all_models, speakers.request(speaker, server.url, timeout_s=60)).ended
        yield all_models
