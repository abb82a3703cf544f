"""What the folder of a killed run says, once somebody has acted in its stead. Never raises: it is not what counts."""

from __future__ import annotations

import html
import json
from contextlib import suppress
from pathlib import Path

from verification.records.atomic import write_whole
from verification.records.run_record import Exit, RollbackOutcome, RollbackResult
from verification.redaction import redact
from verification.verdict import Verdict, now


def is_unfinished(folder: Path) -> bool:
    """Whether the run could not write its own verdict."""
    return _unfinished_verdict(folder) is not None


def write_summary(folder: Path, said: str, next_step: str) -> None:
    """Write `summary.md` in the place of the one that says that the run has not finished."""
    parts = [
        f"# {_prose(said)}",
        f"The run itself did not finish: its report holds no verdict. Written {now():%Y-%m-%d %H:%M:%S} UTC.",
    ]
    if next_step:
        parts += ["## What to do now", _prose(next_step)]
    with suppress(OSError):
        write_whole(folder / "summary.md", "\n\n".join(parts) + "\n")


def write_verdict(folder: Path, result: RollbackResult, said: str) -> None:
    """Put the rollback into the `verdict.json` of the run that could not do so itself; its other words stay."""
    document = _unfinished_verdict(folder)
    if document is None:
        return
    rolled_back = {
        "outcome": result.outcome.value,
        "triggers": [redact(one) for one in result.triggers],
        "strategy": result.strategy,
        "from_revision": result.from_revision,
        "to_revision": result.to_revision,
        "seconds": result.seconds,
        "verified": result.verified,
        "reason": redact(result.reason),
    }
    failed = result.outcome is RollbackOutcome.FAILED or result.verified is False
    code = Exit.ROLLBACK_FAILED if failed else Exit.FAIL if result.triggers else Exit.INCONCLUSIVE
    verdict = Verdict.FAIL if result.triggers else Verdict.INCONCLUSIVE
    document |= {"rollback": rolled_back, "verdict": verdict.value, "exit_code": int(code), "notices": [redact(said)]}
    with suppress(OSError):
        write_whole(folder / "verdict.json", json.dumps(document, indent=2) + "\n")


def write_page(folder: Path, said: str, next_step: str) -> None:
    """Say on the page of the run that could not write its own what was done in its stead."""
    if not is_unfinished(folder):
        return
    page = folder / "report.html"
    words = "".join(f"<p><strong>{html.escape(redact(one))}</strong></p>" for one in (said, next_step) if one)
    with suppress(OSError):
        write_whole(page, page.read_text(encoding="utf-8").replace("</h1>", f"</h1>\n{words}", 1))


def _unfinished_verdict(folder: Path) -> dict[str, object] | None:
    """The run's `verdict.json`, if the run has not finished it."""
    try:
        document = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    unfinished = isinstance(document, dict) and document.get("finished") is None
    return document if unfinished else None


def _prose(text: str) -> str:
    """On one line, without secrets and without HTML."""
    return " ".join(redact(text).split()).replace("<", "&lt;")
