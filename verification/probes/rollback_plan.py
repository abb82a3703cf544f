"""Probes of how a release's migrations are taken back, if that must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

from verification.errors import ServiceError
from verification.probe import Probes, probe
from verification.probes.source import listed
from verification.settings.migrations import Migrations
from verification.settings.model import Settings
from verification.verdict import Measurement, MeasurementSet

if TYPE_CHECKING:
    from verification.probes.release import ReleaseContents
    from verification.source_tree.checkout import Checkout

NO_MIGRATIONS = "this release has no migrations"


@probe
def rollback_plan(settings: Settings, probes: Probes) -> MeasurementSet:
    """The document, or the command, that takes the release's migrations back; empty where no release is configured."""
    if settings.release is None or settings.checkout is None:
        return MeasurementSet(())
    contents = cast("ReleaseContents", probes.result("release_contents"))
    checkout = cast("Checkout", probes.resource("checkout"))
    return MeasurementSet((plan_for(contents.migrations, settings.migrations, checkout.path, contents.source),))


def plan_for(files: Sequence[str], settings: Migrations | None, checkout: Path, source: str) -> Measurement:
    """What there is to take the migrations `files` of a release back by. Whether it works, only the rehearsal tells."""
    figure = Measurement("plan for the migrations", NO_MIGRATIONS, source=source)
    if not files:
        return figure
    document = document_of(checkout, settings, files) if settings else None
    if document is not None and document.value == "documented":
        return replace(document, name=figure.name)
    if settings and settings.downgrade:
        note = f"`{' '.join(settings.downgrade)}`, for {listed(files)}"
        return replace(figure, value="downgrade command", note=note)
    cause = f"the release has migrations ({listed(files)}), and nothing says how they are taken back"
    remedy = "Name a downgrade command or a rollback_document in [migrations] of deployment.toml."
    problem = document.problem if document else None
    return replace(figure, value="none", problem=problem or ServiceError(cause, remedy))


def document_of(checkout: Path, settings: Migrations, files: Sequence[str]) -> Measurement | None:
    """The rollback document; one that does not name this release's migrations is of another release."""
    if settings.rollback_document is None:
        return None
    figure = Measurement("way back", None, source=settings.rollback_document)
    try:
        text = (checkout / settings.rollback_document).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        problem = ServiceError(
            f"the rollback document {settings.rollback_document} cannot be read: {error.strerror}", "Write it."
        )
        return replace(figure, value="none", problem=problem)
    missing = [file for file in files if PurePosixPath(file).stem not in text and not file.endswith("__init__.py")]
    if missing:
        cause = f"the rollback document {settings.rollback_document} does not name {listed(missing)}"
        return replace(figure, value="none", problem=ServiceError(cause, "Write there how each of them is taken back."))
    return replace(figure, value="documented", note=listed(files))
