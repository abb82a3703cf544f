"""Probes of Sentry: how many errors, which new ones, and whether "none" may be believed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace

from verification.clients.sentry.answers import ErrorRate, Issue, Window
from verification.clients.sentry.client import Sentry
from verification.errors import ServiceError
from verification.probe import probe
from verification.probes.health import given
from verification.probes.source import listed
from verification.settings.model import Settings
from verification.settings.observers import SentrySettings
from verification.verdict import Measurement
from verification.watch.sources.observers import proof_that_it_finds

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class SentryReview:
    """What Sentry knows of one environment within a window. `proof` says why finding nothing may be believed."""

    errors: ErrorRate
    new: tuple[Issue, ...]
    proof: str

    @property
    def rate(self) -> Measurement:
        """Errors for each transaction, in percent, with both counts; a problem without transactions."""
        rate = self.errors.rate
        percent = float(rate.value) * 100 if isinstance(rate.value, float) else None
        return replace(rate, value=percent, unit="%", note=f"{rate.note}; {self.proof}")

    @property
    def new_types(self) -> Measurement:
        """How many types of errors were first seen in the window; each is listed with its link."""
        problem = ServiceError(
            f"{len(self.new)} new types of errors ({self.errors.source}): {listed(self.new)}",
            "Look at each; mend it, and deploy the remedy to staging first.",
        )
        return Measurement(
            "new types of errors",
            len(self.new),
            source=self.errors.source,
            window_s=self.errors.window.seconds,
            note=self.proof,
            problem=problem if self.new else None,
        )


@probe
def sentry_review(settings: Settings, variables: dict[str, str], role: str, dry_run: bool) -> SentryReview:
    """Review the last 24 hours of the role's environment in Sentry."""
    return review(given(settings.sentry, "sentry"), role or settings.main_role, Window.last(_DAY), variables, dry_run)


def review(
    settings: SentrySettings, role: str, window: Window, variables: Mapping[str, str], dry_run: bool
) -> SentryReview:
    """Review `window`. Raises ObserverError where Sentry cannot tell, or where its "nothing" cannot be believed."""
    environment = settings.environment(role)
    with closing(Sentry(settings, variables)) as sentry:
        sentry.must_know(environment)
        errors = sentry.error_rate(environment, window)
        new = sentry.new_issues(environment, window)
        proof = proof_that_it_finds(
            sentry,
            environment,
            window,
            errors=errors.errors > 0,
            issues=bool(new),
            variables=variables,
            dry_run=dry_run,
        )
        return SentryReview(errors, new, proof)
