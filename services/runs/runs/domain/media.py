"""Images and files in the messages of users."""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

MediaKind = Literal["image", "file"]
MAX_IMAGES, MAX_FILES = 20, 5
"""The maximum numbers in one run, as at Bedrock."""
MAX_URL_CHARS = 2_048
FILE_NAME = "file.pdf"
"""The name of a file without one, where a provider requires it."""
_SIGNATURE_CHARS = 32
"""The beginning of base64 that contains the signature of each format."""
_SIGNATURES: tuple[tuple[re.Pattern[bytes], MediaKind, str], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image", "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image", "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image", "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image", "image/webp"),
    (re.compile(rb"%PDF-"), "file", "application/pdf"),
)
"""The formats that all providers with images or files accept."""


@dataclass(frozen=True, slots=True)
class MediaPart:
    """An image or a PDF file of a message. It has either an address or its bytes."""

    kind: MediaKind
    url: str | None = None
    """The address, which the provider reads. This service never does."""
    data: str | None = None
    """The bytes in base64."""
    name: str | None = None
    """The name of a file."""

    @property
    def media_type(self) -> str:
        """The format, by the signature of the bytes; without bytes, the most common one."""
        return media_type_of(self.kind, self.data or "") or (
            "image/jpeg" if self.kind == "image" else "application/pdf"
        )

    @property
    def address(self) -> str:
        """The address, or the bytes as a `data:` URL."""
        return self.url or f"data:{self.media_type};base64,{self.data}"


Part = str | MediaPart


def media_type_of(kind: MediaKind, data: str) -> str | None:
    """Return the media type of bytes in base64; None if they are not of this kind in a supported format."""
    try:
        beginning = b64decode(data[:_SIGNATURE_CHARS])
    except ValueError:
        return None
    return next((name for signature, of, name in _SIGNATURES if of == kind and signature.match(beginning)), None)


def parts_of(content: str | Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    """Return the parts of a message's content as it is stored."""
    if isinstance(content, str):
        return (content,)
    return tuple(
        part["text"]
        if part["type"] == "text"
        else MediaPart(part["type"], part.get("url"), part.get("data"), part.get("name"))
        for part in content
    )
