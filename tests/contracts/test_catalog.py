"""The catalogue has every event, and each is said by its owner alone."""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

import shared.events
from infra.services import SERVICES
from shared.declaration import Service
from shared.events.catalogue import CATALOGUE
from shared.events.envelope import EventData
from shared.events.tenants import SAID_BY_ALL

every_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def contracts(kind: type[EventData] = EventData) -> Iterator[type[EventData]]:
    """All classes of `shared.events` that name a type."""
    for below in kind.__subclasses__():
        if "TYPE" in vars(below) and below.__module__.startswith("shared.events."):
            yield below
        yield from contracts(below)


def test_every_contract_is_in_the_catalogue() -> None:
    for found in pkgutil.iter_modules(shared.events.__path__, "shared.events."):
        import_module(found.name)
    assert {kind.TYPE: kind for kind in contracts()} == CATALOGUE


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
class TestContract:
    def test_is_named_by_what_happened(self, kind: type[EventData]) -> None:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+\.v[1-9]\d*", kind.TYPE)

    def test_lies_in_the_module_of_its_owner(self, kind: type[EventData]) -> None:
        assert kind.__module__ == f"shared.events.{kind.OWNER}"

    def test_is_emitted_by_its_owner_alone_or_by_all(self, kind: type[EventData]) -> None:
        emitters = [service.name for service in SERVICES if kind.TYPE in service.emits]
        assert emitters == ([service.name for service in SERVICES] if kind.TYPE in SAID_BY_ALL else [kind.OWNER])

    def test_cannot_be_changed(self, kind: type[EventData]) -> None:
        assert kind.model_config.get("frozen") is True


@every_service
def test_a_service_emits_what_is_in_the_catalogue_once(service: Service) -> None:
    assert set(service.emits) <= set(CATALOGUE)
    assert len(set(service.emits)) == len(service.emits)


@every_service
def test_a_service_consumes_what_somebody_emits(service: Service) -> None:
    emitted = {event_type for other in SERVICES for event_type in other.emits}
    assert set(service.consumes) <= emitted


@every_service
def test_an_event_wakes_one_function_of_a_service(service: Service) -> None:
    woken = [event for function in service.functions for event in function.subscriptions]
    assert sorted(woken) == sorted(set(woken))


@every_service
def test_control_events_are_among_what_a_function_consumes(service: Service) -> None:
    for function in service.functions:
        assert set(function.control) <= set(function.subscriptions)


@pytest.mark.parametrize("name", ["metering", "runs"])
def test_tenants_and_agents_never_wait_behind_data(name: str) -> None:
    """A flood of usage or artifacts must not delay suspensions, deletions and what runs are made of."""
    [service] = [one for one in SERVICES if one.name == name]
    [consumer] = [one for one in service.functions if one.name == "consumer"]
    assert {event.partition(".")[0] for event in consumer.data} <= {"usage", "artifact", "run"}
    assert {event.partition(".")[0] for event in consumer.control} <= {"tenant", "agent", "project"}
