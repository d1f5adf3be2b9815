"""What a worker has heard of an answer."""

from dataclasses import dataclass, field
from io import StringIO

from services.runs.domain.request import ModelRequest
from services.runs.errors import ProviderFailed
from services.runs.gateways.model import Counted, Ended, Part, Text, Working
from shared.meters import Meter, Meters


@dataclass(slots=True)
class Reading:
    """What has streamed of an answer."""

    request: ModelRequest
    """As it was sent."""
    written: StringIO = field(default_factory=StringIO)
    """The text so far; a list of short pieces would take twenty times its memory."""
    counted: Meters = field(default_factory=dict[Meter, int])
    ended: Ended | None = None
    failure: ProviderFailed | None = None
    cancelled: bool = False

    @property
    def text(self) -> str:
        """The answer so far."""
        return self.written.getvalue()

    def note(self, part: Part) -> None:
        """The next part has come."""
        match part:
            case Text(text):
                self.written.write(text)
            case Counted(meters):
                self.counted = meters
            case Ended():
                self.ended = part
            case Working():
                pass
