"""The titles that the service streams: what the database is seeded with and what the media bucket holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


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
