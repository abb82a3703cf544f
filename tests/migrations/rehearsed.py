"""What a rehearsal has found, as the tests of rehearsals ask for it."""

from __future__ import annotations

import re

from tests.migrations.migration_stage import Stage
from verification.deadline import now
from verification.errors import VerificationError
from verification.migrations.snapshot import DatabaseSnapshot, take
from verification.probes.migrations import MigrationRehearsal
from verification.verdict import Measurement

GOOD_UP = (
    'db.content.update_many({"kind": {"$exists": False}}, {"$set": {"kind": "film"}}); db.content.create_index("kind")'
)

GOOD_DOWN = 'db.content.update_many({}, {"$unset": {"kind": 1}}); db.content.drop_index("kind_1")'


def contents(stage: Stage) -> DatabaseSnapshot:
    return take(stage.database, frozenset(), now())


def problem(measured: Measurement) -> VerificationError:
    assert measured.problem is not None, measured
    return measured.problem


def refused(rehearsal: MigrationRehearsal, kind: type[VerificationError], words: str) -> VerificationError:
    found = problem(rehearsal.repeat)
    assert type(found) is kind
    assert re.search(words, found.cause), found.cause
    return found
