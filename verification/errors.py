"""Every exception the suite raises on purpose.

    VerificationError
    ├── SettingsError          the suite was asked for something it cannot do: nothing has run (exit code 4)
    ├── ObserverError          an observer could not be asked: nothing was learned about the service
    │   ├── NotPermitted       it answered that we may not ask
    │   ├── NotAsked           the question needs an answer that is not there
    │   ├── AskedOnce          the question is not put a second time, and its one answer says nothing here
    │   └── Unconfirmed        bad answers and good ones: too few were bad to prove anything
    ├── ServiceError           the service was asked, and what it did is bad
    │   ├── NoInstance         Cloud Run refused it, by its page for want of an instance; the request log is surer
    │   ├── AnsweredForTheOrigin 502 or the like, by who stands in front of Cloud Run: its own address tells whose fault
    │   ├── RedirectedElsewhere it sends whoever asks to another address
    │   ├── CredentialsRefused it refuses our credentials: asking again would change nothing, and may lock the account
    │   └── NotRevisionRelated bad, but no other revision would do better: it fails, and never rolls back
    └── RollbackError
        ├── RollbackWithheld   a guard held the rollback back: production was not touched
        └── RollbackFailed     the rollback did not get through: a person is needed now

A `ServiceError` is the only one that makes a criterion fail. An `ObserverError` makes it inconclusive: it never
passes, and it never rolls production back.
"""

from __future__ import annotations

from datetime import datetime


class VerificationError(Exception):
    """Base of the tree. `str()` gives the cause, then the remedy."""

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.cause}\n  {self.remedy}" if self.remedy else self.cause


class SettingsError(VerificationError):
    """A mistake in `deployment.toml`, an option or an environment variable."""


class ObserverError(VerificationError):
    """A system that we ask *about* the service did not answer usefully: unknown, which is neither good nor bad."""


class NotPermitted(ObserverError):
    """The observer answered that these credentials may not ask (401, 403), or there are none."""


class NotAsked(ObserverError):
    """The question could not be put, because an earlier answer that it needs is missing."""


class AskedOnce(ObserverError):
    """A question that is put once in a run has no answer that says something here; all before it was good."""


class Unconfirmed(ObserverError):
    """A question was answered badly, and well when it was asked again: that proves nothing, neither way."""


class ServiceError(VerificationError):
    """The service under verification was asked, and its answer (or its silence) is bad."""


class NoInstance(ServiceError):
    """Cloud Run had no instance for a question, by its page; `trace` and `at` are where the request log tells of it."""

    def __init__(self, cause: str, trace: str, at: datetime) -> None:
        super().__init__(cause)
        self.trace = trace
        self.at = at


class AnsweredForTheOrigin(ServiceError):
    """Who stands in front of Cloud Run says that the service has crashed or hangs, or has itself no way to it."""


class RedirectedElsewhere(ServiceError):
    """The service redirects to another address than the one that was asked."""


class CredentialsRefused(ServiceError):
    """The service refuses credentials that we hold to be right. To ask again would change nothing."""


class NotRevisionRelated(ServiceError):
    """What is bad lies before every revision, such as the certificate: going back to another one would not mend it."""


class RollbackError(VerificationError):
    """Base of what can go wrong with a rollback. `guard` is the code of the guard that said so; empty: none did."""

    def __init__(self, cause: str, remedy: str = "", guard: str = "") -> None:
        super().__init__(cause, remedy)
        self.guard = guard


class RollbackWithheld(RollbackError):
    """A guard held the rollback back; production was not touched. The remedy is the command for a person."""


class RollbackFailed(RollbackError):
    """The rollback was started or needed, and did not get through; the remedy is what a person must do now."""
