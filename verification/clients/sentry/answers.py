"""What Sentry answers: error counts and issues of one environment within a window."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Mapping
from dataclasses import dataclass

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from verification.deadline import now
from verification.errors import ObserverError
from verification.settings.units import duration_text
from verification.verdict import Measurement


@dataclass(frozen=True, slots=True)
class Window:
    """A time window; both ends are aware."""

    start: dt.datetime
    end: dt.datetime

    @classmethod
    def last(cls, seconds: float) -> Window:
        """The `seconds` before now."""
        end = now()
        return cls(end - dt.timedelta(seconds=seconds), end)

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start).total_seconds()

    @property
    def parameters(self) -> dict[str, str]:
        """Its query parameters: UTC, in whole seconds, without an offset. The second that has begun belongs to it."""
        return {"start": utc_text(self.start), "end": utc_text(self.end + dt.timedelta(seconds=1))}


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Errors and transactions of one environment within a window, the canary left out.

    Errors are counted one by one; transactions as Sentry extrapolates them from those that were sampled. So the rate
    is a ratio of two counts, may exceed 100 %, and is unknown where there are no transactions.
    """

    environment: str
    window: Window
    errors: int
    transactions: int
    partial: bool  # Sentry looked at a part of its data only

    @property
    def source(self) -> str:
        """Where it comes from."""
        return f"Sentry, environment {self.environment}"

    @property
    def rate(self) -> Measurement:
        """Errors for each transaction, as a share of one; a problem where there is no denominator."""
        return Measurement(
            "error rate",
            self.errors / self.transactions if self.transactions else None,
            source=self.source,
            samples=self.transactions,
            window_s=self.window.seconds,
            note=f"{self.errors} errors, {self.transactions} transactions (extrapolated from those that were sampled)"
            + ("; Sentry looked at a part of its data only" if self.partial else ""),
            problem=None if self.transactions else self._unknown(),
        )

    def _unknown(self) -> ObserverError:
        return ObserverError(
            f"Sentry has {self.errors} errors and no transaction of environment {self.environment} in "
            f"{duration_text(round(self.window.seconds))}, so there is no rate",
            "Let the service send transactions (traces_sample_rate), and see that its environment bears this name.",
        )


@dataclass(frozen=True, slots=True)
class CountsByRelease:
    """Errors and transactions of one environment within a window, by the release that they name; "": they name none."""

    environment: str
    window: Window
    errors: Mapping[str, int]
    transactions: Mapping[str, int]
    partial: bool

    @property
    def releases(self) -> frozenset[str]:
        """All that anything names."""
        return frozenset({*self.errors, *self.transactions})

    def own(self, before: frozenset[str]) -> frozenset[str] | None:
        """The releases that are new with a revision, given those from before; None where that cannot be told.

        So it is where they have less than half of the transactions: a worker that was deployed as well, say, beside a
        service whose release bears the same name for ever. Its errors must not be taken for those of the one before.
        """
        new = self.releases - before
        served = sum(count for name, count in self.transactions.items() if name in new)
        return new if new and 2 * served >= sum(self.transactions.values()) else None

    def of(self, releases: Container[str] | None) -> ErrorRate:
        """What is of `releases`; None: of all."""
        errors, transactions = (
            sum(count for name, count in counts.items() if releases is None or name in releases)
            for counts in (self.errors, self.transactions)
        )
        return ErrorRate(self.environment, self.window, errors, transactions, self.partial)


class Issue(BaseModel):
    """A type of error. `count` and `users` are those of the window that was asked about."""

    model_config = ConfigDict(frozen=True)

    id: str
    title: str
    permalink: str | None = None
    count: int = 0
    users: int = Field(default=0, alias="userCount")
    first_seen: AwareDatetime = Field(alias="firstSeen")
    priority: str | None = None
    level: str | None = None
    category: str = Field(default="error", alias="issueCategory")

    @property
    def link(self) -> str:
        """Its address; its number where Sentry tells none."""
        return self.permalink or f"issue {self.id}"

    def __str__(self) -> str:
        first = f"{self.first_seen.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
        return f"{self.title} ({self.count} times, {self.users} users, first {first}, {self.link})"


def utc_text(moment: dt.datetime) -> str:
    """A moment as Sentry's API wants it: in UTC, in whole seconds."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
