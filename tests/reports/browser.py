"""A headless Chromium that shows a page and says what became of it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here to show the page")

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--no-default-browser-check",
)  # fmt: skip


def shown(page: Path, script: str = "", *options: str, within: int = 2000) -> str:
    """The document as a browser has it once the page has settled and `script` has run; `within` is in milliseconds."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory() as profile:
        if script:
            page = _with_script(page, script)
        run = subprocess.run(
            [
                *(CHROMIUM, *OPTIONS, *options, f"--user-data-dir={profile}", f"--virtual-time-budget={within}"),
                *("--dump-dom", page.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    return run.stdout


def _with_script(page: Path, script: str) -> Path:
    scripted = page.with_name("scripted.html")
    head, _, tail = page.read_text(encoding="utf-8").rpartition("</body>")
    scripted.write_text(f"{head}<script>{script}</script></body>{tail}", encoding="utf-8")
    return scripted
