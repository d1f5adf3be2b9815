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

    @classmethod
    def of(cls, mesh: Mesh) -> Self:
        """What there is in a mesh."""
        names = mesh.names
        pairs = [(service, function) for service in mesh.services for function in service.functions]
        queues = [names.function(*pair) for pair in pairs if pair[1].has_queue]
        return cls(
            functions=(names.api, names.publisher, *(names.function(*pair) for pair in pairs)),
            http=(names.api, *(names.function(*pair) for pair in pairs if pair[1].routes)),
            queues=tuple(queues),
            dead_letters=tuple(names.dead_letters(queue) for queue in (names.publisher, *queues)),
        )
