"""One local provider server for all tests of a module."""

from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial

import pytest

from services.runs.providers.gateway.models import ProviderModels
from tests.services.runs.conftest import World, know_tenant
from tests.services.runs.providers import adapters
from tests.services.runs.providers.adapters import Adapter
from tests.services.runs.providers.server import ProviderServer, provider_server
from tests.services.runs.providers.stage import LIMIT, REQUESTS, Stage


@pytest.fixture(scope="module")
def server() -> Generator[ProviderServer]:
    """Start a provider server on this machine."""
    with provider_server() as serving:
        yield serving


@pytest.fixture(autouse=True)
def forgetful(server: ProviderServer) -> Generator[None]:
    """Clear the replies that the previous test has left."""
    yield
    server.script.clear()


@pytest.fixture(scope="module")
def models(server: ProviderServer) -> Generator[ProviderModels]:
    """Return all providers. Bedrock is at the local server, the others at the address of the request."""
    with closing(adapters.models(server.url)) as all_models:
        for adapter in adapters.ADAPTERS:
            # The imports of an SDK's first call must not count as the time of the call.
            server.add_replies(adapters.answered(adapter))
            assert adapters.receive(all_models, adapters.request(adapter, server.url, timeout_s=60)).ended
        yield all_models


@pytest.fixture
def any_stage(world: World, server: ProviderServer, models: ProviderModels) -> Callable[[Adapter], Stage]:
    """Return stages by provider."""
    know_tenant(world.store, seq=2, max_tokens_per_month=LIMIT, max_requests_per_month=REQUESTS)
    return partial(Stage, world, server, models)


@pytest.fixture
def stage(request: pytest.FixtureRequest, any_stage: Callable[[Adapter], Stage]) -> Stage:
    """Return a stage with one of the providers."""
    return any_stage(request.param)
