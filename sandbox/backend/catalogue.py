"""The titles that the service streams: what the database is seeded with, and the videos of the media bucket."""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


_NAMES = {
    "movie": "A House in Haifa, Ballad of the Old Port, Bread and Olives, Letters from Jaffa, Midnight in Tel Aviv, "
    "The Last Citrus Grove, The Violin Maker, Winter in the Galilee",
    "series": "Family Kitchen, Harbour Police, Jerusalem Stories, Startup Street, The Family Next Door, Tiny Explorers",
    "live": "Children's Channel, Evening News, Morning Radio, Sports Tonight",
}
TITLES = tuple(Title(name, kind) for kind, names in _NAMES.items() for name in names.split(", "))

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
    from starlette.responses import Response  # slow to import; the database, which starts first, needs the titles only

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
