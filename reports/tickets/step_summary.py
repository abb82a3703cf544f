"""The summary on the page of a GitHub Actions job: what stands in the file that `GITHUB_STEP_SUMMARY` names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reports import summary
from verification.records.run_record import RunRecord

_MOST = 1_048_576  # bytes of one step: GitHub shows nothing at all of a longer one


def write_step_summary(record: RunRecord, variables: Mapping[str, str]) -> str:
    """Add the summary, if there is such a file; its short form where the long one is too long.

    Answers what went wrong, empty if nothing did: a page of CI is no reason for a run to break.
    """
    name = variables.get("GITHUB_STEP_SUMMARY", "")
    if not name:
        return ""
    try:
        path = Path(name)
        room = _MOST - (path.stat().st_size if path.exists() else 0)
        fitting = (text for text in (summary.markdown(record), summary.short(record)) if len(text.encode()) <= room)
        with path.open("a", encoding="utf-8") as file:
            file.write(next(fitting, ""))
    except OSError as error:
        return f"the job's summary (GITHUB_STEP_SUMMARY) was not written: {error.strerror}"
    return ""
