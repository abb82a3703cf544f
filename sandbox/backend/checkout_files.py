"""The files of the service's checkout, commit by commit. Plain Python, so that its tests need nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HistoryCommit:
    """A commit: its message, its age in hours, and the files that it writes whole."""

    message: str
    hours_ago: float
    files: dict[str, str]


_CATALOGUE = '''"""What there is to watch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Title:
    id: str
    name: str
    type: str
    subtitles: tuple[str, ...] = ()


def listing(titles, limit=10):
    if not 1 <= limit <= 100:
        raise ValueError("limit must be 1 to 100")
    return sorted(titles, key=lambda title: title.name)[:limit]


def search(titles, words):
    wanted = words.casefold().strip()
    if not wanted:
        return []
    return [title for title in titles if wanted in title.name.casefold()]
'''

_SEARCH_IN_SUBTITLES = _CATALOGUE.replace(
    "    return [title for title in titles if wanted in title.name.casefold()]\n",
    "    return [film for film in titles if any(wanted in text.casefold() for text in (film.name, *film.subtitles))]\n",
)

_CATALOGUE_TESTS = """import pytest

from app.catalogue import Title, listing, search

TITLES = [Title("1", "The Violin Maker", "movie"), Title("2", "Bread and Olives", "movie")]


def test_titles_are_listed_by_name():
    assert [title.id for title in listing(TITLES)] == ["2", "1"]


def test_a_listing_is_as_long_as_asked_for():
    assert len(listing(TITLES, limit=1)) == 1


@pytest.mark.parametrize("limit", [0, 101])
def test_a_listing_is_not_of_any_length(limit):
    with pytest.raises(ValueError):
        listing(TITLES, limit)


def test_search_ignores_case():
    assert [title.id for title in search(TITLES, "VIOLIN")] == ["1"]


def test_a_search_for_nothing_finds_nothing():
    assert search(TITLES, " ") == []
"""

_SUBTITLE_TEST = """

def test_search_looks_into_subtitles():
    film = Title("3", "Letters from Jaffa", "movie", ("Where is the harbour?",))
    assert search([film], "harbour") == [film]
"""

_PLAYBACK = '''"""Addresses to play from."""

import hashlib
import hmac


def stream_url(base, media_id, key, until):
    signature = hmac.new(key, f"{media_id}:{until}".encode(), hashlib.sha256).hexdigest()
    return f"{base}/media/{media_id}.mp4?until={until}&signature={signature}"


def may_play(media_id, key, until, signature, now):
    expected = hmac.new(key, f"{media_id}:{until}".encode(), hashlib.sha256).hexdigest()
    return now < until and signature == expected
'''

_PLAYBACK_IN_CONSTANT_TIME = _PLAYBACK.replace("signature == expected", "hmac.compare_digest(signature, expected)")

_PLAYBACK_TESTS = """from app.playback import may_play, stream_url

KEY = b"a key of these tests"


def signature():
    return stream_url("https://media.example", "m1", KEY, 100).partition("signature=")[2]


def test_a_signed_address_plays():
    assert may_play("m1", KEY, 100, signature(), now=99)


def test_an_address_expires():
    assert not may_play("m1", KEY, 100, signature(), now=100)


def test_a_signature_is_for_one_title():
    assert not may_play("m2", KEY, 100, signature(), now=1)
"""

_PROJECT = """[tool.pytest.ini_options]
pythonpath = ["."]
addopts = "-p no:cacheprovider"

[tool.coverage.run]
branch = true
omit = ["app/demo/*"]
"""

_DEMO = """# TODO: show more than three titles once the design of the demo is settled.
TITLES = ["A House in Haifa", "Family Kitchen", "Evening News"]
"""

_GENRES = '''"""pymongo-migrate: find content by its genre."""

name = "20251201_0800_index_genre"
dependencies = []


def upgrade(db):
    db["content"].create_index([("genre", 1)], name="genre")


def downgrade(db):
    if "genre" in db["content"].index_information():
        db["content"].drop_index("genre")
'''

_SUBTITLES = '''"""pymongo-migrate: every title has a list of subtitles, be it empty."""

name = "20260115_0900_add_subtitles"
dependencies = ["20251201_0800_index_genre"]


def upgrade(db):
    db["content"].update_many({"subtitles": {"$exists": False}}, {"$set": {"subtitles": []}})


def downgrade(db):
    db["content"].update_many({"subtitles": []}, {"$unset": {"subtitles": ""}})
'''

_CHANGELOG = """# Changelog

## [Unreleased]
{unreleased}
## [1.4.0] - 2026-01-06

### Added

- Content is listed and can be searched.
- Videos are played from signed addresses.
"""

_NEWS = """
### Added

- Search looks into subtitles, too (#41).

### Fixed

- Signatures of playback addresses are compared in constant time (#42).

"""


def _openapi(*, subtitles: bool) -> str:
    title: dict[str, object] = {name: {"type": "string"} for name in ("id", "title", "type", "stream_url")}
    if subtitles:
        title["subtitles"] = {"type": "array", "items": {"type": "string"}}
    one = {"type": "object", "required": ["id", "title", "type"], "properties": title}
    reference = {"$ref": "#/components/schemas/Title"}

    def operation(name: str, parameter: dict[str, object], field: str) -> dict[str, object]:
        answer = {"type": "object", "properties": {field: {"type": "array", "items": reference}}}
        responses = {"200": {"description": "OK", "content": {"application/json": {"schema": answer}}}}
        return {"get": {"operationId": name, "parameters": [{"in": "query", **parameter}], "responses": responses}}

    limit: dict[str, object] = {"name": "limit", "schema": {"type": "integer", "default": 10}}
    words: dict[str, object] = {"name": "q", "required": True, "schema": {"type": "string"}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Bayit+ Backend", "version": "1"},
        "paths": {
            "/api/v1/content": operation("list_content", limit, "items"),
            "/api/v1/search": operation("search", words, "results"),
        },
        "components": {"schemas": {"Title": one}},
    }
    return json.dumps(document, indent=2) + "\n"


_MIGRATE = '''"""Apply the migrations, or take those back that came after the one named. Keeps pymongo-migrate's log."""

import datetime
import os
import runpy
import sys
from pathlib import Path

import pymongo

database = pymongo.MongoClient(os.environ["MONGODB_URL"]).get_default_database()
migrations = [runpy.run_path(str(file)) for file in sorted(Path("migrations").glob("*.py"))]


def applied(migration):
    return database.pymongo_migrate.find_one({"name": migration["name"], "applied": {"$ne": None}})


def note(migration, when):
    entry = {"name": migration["name"], "applied": when}
    database.pymongo_migrate.replace_one({"name": migration["name"]}, entry, upsert=True)


if sys.argv[1] == "upgrade":
    for migration in migrations:
        if not applied(migration):
            migration["upgrade"](database)
            note(migration, datetime.datetime.now(datetime.timezone.utc))
else:
    stay = sys.argv[2] if len(sys.argv) > 2 else None
    for migration in reversed(migrations):
        if migration["name"] == stay:
            break
        if applied(migration):
            migration["downgrade"](database)
            note(migration, None)
'''


DEPLOYED: tuple[HistoryCommit, ...] = (
    HistoryCommit(
        "feat: catalogue, search and playback",
        24 * 30,
        {
            ".gitignore": "__pycache__/\n.coverage\ncoverage.xml\n.pytest_cache/\n",
            "CHANGELOG.md": _CHANGELOG.format(unreleased=""),
            "backend/pyproject.toml": _PROJECT,
            "backend/app/__init__.py": "",
            "backend/app/catalogue.py": _CATALOGUE,
            "backend/app/playback.py": _PLAYBACK,
            "backend/app/demo/__init__.py": "",
            "backend/app/demo/titles.py": _DEMO,
            "backend/migrate.py": _MIGRATE,
            "backend/migrations/20251201_0800_index_genre.py": _GENRES,
            "backend/openapi.json": _openapi(subtitles=False),
            "backend/tests/test_catalogue.py": _CATALOGUE_TESTS,
        },
    ),
    HistoryCommit(
        "test(playback): signatures and their end", 24 * 7, {"backend/tests/test_playback.py": _PLAYBACK_TESTS}
    ),
)

CANDIDATE: tuple[HistoryCommit, ...] = (
    HistoryCommit(
        "feat(search): look into subtitles (#41)",
        50,
        {
            "backend/app/catalogue.py": _SEARCH_IN_SUBTITLES,
            "backend/tests/test_catalogue.py": _CATALOGUE_TESTS + _SUBTITLE_TEST,
            "backend/migrations/20260115_0900_add_subtitles.py": _SUBTITLES,
            "backend/openapi.json": _openapi(subtitles=True),
        },
    ),
    HistoryCommit(
        "fix(playback): compare signatures in constant time (#42)",
        40,
        {"backend/app/playback.py": _PLAYBACK_IN_CONSTANT_TIME},
    ),
    HistoryCommit("docs: changelog of the next release", 30, {"CHANGELOG.md": _CHANGELOG.format(unreleased=_NEWS)}),
)
