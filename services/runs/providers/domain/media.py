"""The images and files that a request can have."""

from services.runs.errors import MediaNotSupported
from services.runs.providers.domain.media_bounds import media_in
from services.runs.providers.domain.parameters import api_of
from services.runs.providers.domain.request import Api, ModelRequest
from services.runs.runs.domain.media import MediaKind

_NAMES: dict[MediaKind, str] = {"image": "images", "file": "files"}
_WITHOUT_ADDRESSES: dict[Api, frozenset[MediaKind]] = {
    "chat": frozenset({"file"}),
    "responses": frozenset(),
    "messages": frozenset(),
    "converse": frozenset({"image", "file"}),
}
"""The kinds whose bytes an API needs, since it reads no addresses."""


def check_media(request: ModelRequest) -> None:
    """Check that the model accepts the images and files of the request, and that their input tokens are bounded.

    Raises:
        MediaNotSupported: the model does not accept one of them.
    """
    for part in media_in(request.messages):
        _check_kind(request, part.kind)
        replaced = request.priced_as or request.provider
        if part.url and replaced != "simulated" and part.kind in _WITHOUT_ADDRESSES[api_of(request)]:
            msg = f"The API of the model {request.name} reads no addresses of {_NAMES[part.kind]}. Send them as data."
            raise MediaNotSupported(msg)


def _check_kind(request: ModelRequest, kind: MediaKind) -> None:
    row = request.row
    if row is None or row.context_tokens is None:
        if request.media_tokens.of(kind) is None:
            unknown = f"The input tokens of {_NAMES[kind]} are not known for the model {request.name}."
            msg = f"{unknown} Set {kind}_tokens in the config of the agent."
            raise MediaNotSupported(msg)
        return
    if not (row.images if kind == "image" else row.files):
        msg = f"The model {request.name} accepts no {_NAMES[kind]}."
        raise MediaNotSupported(msg)
