"""The things that are watched, by name."""

from dataclasses import dataclass
from typing import Self

from infra.mesh import Mesh


@dataclass(frozen=True, slots=True)
class Subjects:
    """The functions and queues of a mesh."""

    functions: tuple[str, ...]
    http: tuple[str, ...]
    """The functions that have routes."""
    queues: tuple[str, ...]
    """Each has its dead letters, and a rule of the same name."""
    dead_letters: tuple[str, ...]
    alarming: tuple[str, ...]
    """The functions whose errors call somebody."""

    @classmethod
    def of(cls, mesh: Mesh) -> Self:
        """What there is in a mesh."""
        names = mesh.names
        pairs = [(service, function) for service in mesh.services for function in service.functions]
        own = (names.api, names.publisher)
        queues = [names.function(*pair) for pair in pairs if pair[1].has_queue]
        letters = [names.function(*pair) for pair in pairs if pair[1].has_queue and "dead-letters" in pair[0].alarms]
        return cls(
            functions=(*own, *(names.function(*pair) for pair in pairs)),
            http=(names.api, *(names.function(*pair) for pair in pairs if pair[1].routes)),
            queues=tuple(queues),
            dead_letters=tuple(names.dead_letters(queue) for queue in (names.publisher, *letters)),
            alarming=(*own, *(names.function(*pair) for pair in pairs if "errors" in pair[0].alarms)),
        )
