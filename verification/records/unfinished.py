"""Whether a run could write its own verdict: `verdict.json` is there from its start, and says when it finished."""

from __future__ import annotations

import json
from pathlib import Path


def unfinished_verdict(folder: Path) -> dict[str, object]:
    """The `verdict.json` of the run in `folder`, if it began one and has not finished it; else empty."""
    try:
        document = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) and document.get("finished") is None else {}
