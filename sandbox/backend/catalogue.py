"""The titles that the service streams: what the database is seeded with, and the videos of the media bucket."""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from functools import lru_cache

from starlette.responses import Response

PAYLOAD_BYTES = 300_000
_RANGE = re.compile(r"bytes=(\d*)-(\d*)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Title:
    """One film, series or live channel."""

    title: str
    type: str

    @property
    def id(self) -> str:
        """Twenty-four hexadecimal digits, as an ObjectId has, the same in every sandbox."""
        return hashlib.sha256(self.title.encode()).hexdigest()[:24]


TITLES: tuple[Title, ...] = (
    Title("A House in Haifa", "movie"),
    Title("Ballad of the Old Port", "movie"),
    Title("Bread and Olives", "movie"),
    Title("Letters from Jaffa", "movie"),
    Title("Midnight in Tel Aviv", "movie"),
    Title("The Last Citrus Grove", "movie"),
    Title("The Violin Maker", "movie"),
    Title("Winter in the Galilee", "movie"),
    Title("Family Kitchen", "series"),
    Title("Harbour Police", "series"),
    Title("Jerusalem Stories", "series"),
    Title("Startup Street", "series"),
    Title("The Family Next Door", "series"),
    Title("Tiny Explorers", "series"),
    Title("Children's Channel", "live"),
    Title("Evening News", "live"),
    Title("Morning Radio", "live"),
    Title("Sports Tonight", "live"),
)

MEDIA_IDS = frozenset(title.id for title in TITLES)


@lru_cache(maxsize=32)
def video(media_id: str) -> bytes:
    """The file of one title: an `ftyp` box, a `free` box and media data that is the same at each call."""
    payload = hashlib.shake_256(media_id.encode()).digest(PAYLOAD_BYTES)
    brands = b"isom" + struct.pack(">I", 0x200) + b"isomiso2avc1mp41"
    return _box(b"ftyp", brands) + _box(b"free", b"") + _box(b"mdat", payload)


def respond(content: bytes, range_header: str | None) -> Response:
    """The whole content (200), the range that was asked for (206), or 416 for a range outside of it.

    A range header that is malformed or names several ranges is ignored, as RFC 9110 allows.
    """
    headers = {"Accept-Ranges": "bytes", "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}
    match = _RANGE.fullmatch(range_header) if range_header else None
    if match is None or match.groups() == ("", ""):
        return Response(content, media_type="video/mp4", headers=headers)
    size = len(content)
    if match[1]:
        start, end = int(match[1]), min(int(match[2]) if match[2] else size - 1, size - 1)
        if match[2] and int(match[2]) < start:  # backwards: not a range at all
            return Response(content, media_type="video/mp4", headers=headers)
    else:
        start, end = max(size - int(match[2]), 0), size - 1
    if start > end:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return Response(content[start : end + 1], 206, media_type="video/mp4", headers=headers)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content
