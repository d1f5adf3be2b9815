"""The monitored resources by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from infra.names import Names
from shared.declaration import Service


@dataclass(frozen=True, slots=True)
class Subjects:
    """The functions and queues of a mesh."""

    functions: tuple[str, ...]
    http: tuple[str, ...]
    """The functions that have routes."""
    queues: tuple[str, ...]
    """Each has a dead-letter queue, and a rule of the same name."""
    dead_letters: tuple[str, ...]

    @classmethod
    def of(cls, names: Names, services: Iterable[Service]) -> Self:
        """Return the functions and queues of a mesh."""
        pairs = [(service, function) for service in services for function in service.functions]
        queues = [name for pair in pairs for name in names.queues(*pair)]
        return cls(
            functions=(names.api, names.authorizer, names.publisher, *(names.function(*pair) for pair in pairs)),
            http=(names.api, *(names.function(*pair) for pair in pairs if pair[1].routes)),
            queues=tuple(queues),
            dead_letters=tuple(names.dead_letters(queue) for queue in (names.publisher, *queues)),
        )
