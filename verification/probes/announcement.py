"""The probe that tells the team of a deployment before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verification.clients.slack.client import Slack, release_key
from verification.errors import NotAsked, VerificationError
from verification.probe import Probes, of_role, probe
from verification.probes.health import given
from verification.probes.readiness import ServingRevision
from verification.probes.release import ReleaseContents
from verification.settings.model import Settings
from verification.settings.observers import SlackSettings
from verification.verdict import Measurement

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the team is told. `commit` is a full id; `changes` has a line for each."""

    branch: str
    commit: str
    changes: tuple[str, ...]
    staging: str

    @property
    def key(self) -> str:
        """One announcement for each release."""
        return release_key(self.commit)

    @property
    def text(self) -> str:
        """The checklist's message, filled in."""
        more = len(self.changes) - _SHOWN
        shown = [f"• {change}" for change in self.changes[:_SHOWN]] + ([f"• … and {more} more"] if more > 0 else [])
        changes = "\n" + "\n".join(shown) if self.changes else " none: production runs this commit"
        return (
            "🚀 Production deployment starting in 30 minutes\n"
            f"Branch: {self.branch}\n"
            f"Commit: {self.commit}\n"
            f"Changes:{changes}\n"
            f"Staging verified: {self.staging}"
        )


@probe
def team_announcement(
    settings: Settings, variables: dict[str, str], dry_run: bool, release_candidate: str, probes: Probes
) -> Measurement:
    """Tell the team, once for each release."""
    announcement = Announcement(
        branch=settings.github.branch if settings.github else "not known",
        commit=release_candidate,
        changes=_changes(probes),
        staging=_staging(settings, probes),
    )
    return announce(given(settings.slack, "slack"), announcement, variables, dry_run)


def announce(
    slack: SlackSettings, announcement: Announcement, variables: Mapping[str, str], dry_run: bool
) -> Measurement:
    """Post `announcement`, unless it was posted before: "posted" or "posted before". Raises ObserverError."""
    if dry_run:
        raise NotAsked(
            f"a dry run posts nothing; {slack.deployments} would be told:\n{announcement.text}",
            "Run without --dry-run.",
        )
    post = Slack.of(slack, variables).announce(
        slack.deployments, announcement.text, [announcement.text], announcement.key
    )
    return Measurement(
        "announcement",
        "posted before" if post.again else "posted",
        source=f"Slack {slack.deployments}",
        note=f"message {post.ts}: {announcement.text}",
    )


def _changes(probes: Probes) -> tuple[str, ...]:
    """Not knowing what changes keeps nobody from telling the team that something does."""
    try:
        contents = probes.result("release_contents")
    except VerificationError as problem:
        return (f"not known: {problem.cause}",)
    assert isinstance(contents, ReleaseContents)
    return tuple(map(str, contents.commits))


def _staging(settings: Settings, probes: Probes) -> str:
    if "staging" not in settings.roles:
        return "not in this run (look at the report of --env staging)"
    role = "staging" if settings.main_role != "staging" else ""
    try:
        serving = probes.result(of_role("serving_revision", role))
    except VerificationError as problem:
        return f"❌ not known: {problem.cause}"
    assert isinstance(serving, ServingRevision)
    age = serving.age.value
    soaked = isinstance(age, (int, float)) and age * 3600 >= settings.limits.staging_soak
    return f"{'✅' if soaked else '❌'} {age:g} hours" if isinstance(age, (int, float)) else "❌ not known"
