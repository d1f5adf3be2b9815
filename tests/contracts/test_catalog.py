"""The catalog of events, and the services that emit and consume them."""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

import shared.events
from infra.services import SERVICES
from shared.declaration import Service
from shared.events.catalog import CATALOG
from shared.events.envelope import EventData
from shared.events.tenants import PUBLISHED_BY_ALL

every_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def event_classes(kind: type[EventData] = EventData) -> Iterator[type[EventData]]:
    """Yield all classes of `shared.events` that have a type."""
    for subclass in kind.__subclasses__():
        if "TYPE" in vars(subclass) and subclass.__module__.startswith("shared.events."):
            yield subclass
        yield from event_classes(subclass)


def test_contains_every_event_class() -> None:
    for found in pkgutil.iter_modules(shared.events.__path__, "shared.events."):
        import_module(found.name)
    assert {kind.TYPE: kind for kind in event_classes()} == CATALOG


@pytest.mark.parametrize("kind", CATALOG.values(), ids=CATALOG)
class TestContract:
    def test_has_a_type_in_the_past_tense_with_a_version(self, kind: type[EventData]) -> None:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+\.v[1-9]\d*", kind.TYPE)

    def test_is_defined_in_the_module_of_its_owner(self, kind: type[EventData]) -> None:
        assert kind.__module__ == f"shared.events.{kind.OWNER}"

    def test_is_emitted_by_its_owner_only_or_by_all_services(self, kind: type[EventData]) -> None:
        emitters = [service.name for service in SERVICES if kind.TYPE in service.emits]
        assert emitters == ([service.name for service in SERVICES] if kind.TYPE in PUBLISHED_BY_ALL else [kind.OWNER])

    def test_is_immutable(self, kind: type[EventData]) -> None:
        assert kind.model_config.get("frozen") is True


@every_service
def test_a_service_declares_each_emitted_event_once(service: Service) -> None:
    assert set(service.emits) <= set(CATALOG)
    assert len(set(service.emits)) == len(service.emits)


@every_service
def test_a_service_consumes_only_emitted_events(service: Service) -> None:
    emitted = {event_type for other in SERVICES for event_type in other.emits}
    assert set(service.consumes) <= emitted


@every_service
def test_an_event_has_one_consumer_in_a_service(service: Service) -> None:
    subscriptions = [event for function in service.functions for event in function.subscriptions]
    assert sorted(subscriptions) == sorted(set(subscriptions))


@every_service
def test_control_events_are_a_subset_of_the_subscriptions(service: Service) -> None:
    for function in service.functions:
        assert set(function.control) <= set(function.subscriptions)


@pytest.mark.parametrize("name", ["metering", "runs"])
def test_control_events_exclude_data_events(name: str) -> None:
    """A flood of usage or artifact events must not delay suspensions, deletions and copies of agents and prompts."""
    [service] = [service for service in SERVICES if service.name == name]
    [consumer] = [function for function in service.functions if function.name == "consumer"]
    assert {event.partition(".")[0] for event in consumer.data} <= {"usage", "artifact", "run"}
    assert {event.partition(".")[0] for event in consumer.control} <= {"tenant", "agent", "project", "prompt"}
