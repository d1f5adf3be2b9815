"""What a worker has heard of an answer."""

from dataclasses import dataclass, field

from services.runs.domain.request import ModelRequest
from services.runs.errors import ProviderFailed
from services.runs.gateways.model import Counted, Ended, Part, Text, Working
from shared.meters import Meter, Meters


@dataclass(slots=True)
class Reading:
    """What has streamed of an answer."""

    request: ModelRequest
    """As it was sent."""
    pieces: list[str] = field(default_factory=list[str])
    counted: Meters = field(default_factory=dict[Meter, int])
    ended: Ended | None = None
    failure: ProviderFailed | None = None
    cancelled: bool = False

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self.pieces)

    def note(self, part: Part) -> None:
        """The next part has come."""
        match part:
            case Text(text):
                self.pieces.append(text)
            case Counted(meters):
                self.counted = meters
            case Ended():
                self.ended = part
            case Working():
                pass
