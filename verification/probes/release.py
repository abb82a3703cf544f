"""Probes of a release's contents: what changes between the commit that production runs and the one to be deployed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from verification.errors import ObserverError, ServiceError
from verification.probe import probe
from verification.probes.source import listed
from verification.settings.checkout import Release
from verification.source_tree.changelog import ChangelogEntry, new_entries
from verification.source_tree.checkout import Checkout, Commit
from verification.source_tree.openapi import breaking_changes, parse_openapi
from verification.verdict import Measurement, record

HIGH_RISK = "high-risk"


@dataclass(frozen=True, slots=True)
class ReleaseContents:
    """A release: its commits, and what they say and change. Commits are newest first."""

    settings: Release
    deployed: str
    candidate: str
    commits: tuple[Commit, ...]
    taken_back: tuple[Commit, ...]  # production has them, the release has not
    entries: tuple[ChangelogEntry, ...] | ObserverError  # new in the changelog
    noted: frozenset[str]  # the commits that changed the changelog themselves
    spec_changes: tuple[str, ...] | ObserverError
    migrations: tuple[str, ...]

    @property
    def source(self) -> str:
        """Where the answers come from."""
        return f"git {self.deployed[:7]}..{self.candidate[:7]}"

    @property
    def unlisted(self) -> tuple[Commit, ...]:
        """The commits that change something for users, and that the changelog does not tell of."""
        told = self.entries if isinstance(self.entries, tuple) else ()
        return tuple(
            commit
            for commit in self.commits
            if commit.type not in self.settings.not_listed
            and commit.sha not in self.noted
            and not any(entry.tells_of(commit) for entry in told)
        )

    @property
    def size(self) -> Measurement:
        """How many commits it has, with their list."""
        note = listed(self.commits) or "nothing new: production runs this commit"
        if self.taken_back:
            note += (
                f". Production has {len(self.taken_back)} commits that this release lacks: {listed(self.taken_back)}"
            )
        return Measurement("commits", len(self.commits), source=self.source, note=note)

    @property
    def migration_files(self) -> Measurement:
        """How many migrations it brings, with their list."""
        return Measurement("migrations", len(self.migrations), source=self.source, note=listed(self.migrations))

    def must_be_covered_by_its_changelog(self) -> None:
        """Hold every commit that changes something for users to be told of; show them all."""
        __tracebackhide__ = True
        record(self.size)
        record(self.migration_files)
        self.not_in_changelog.must_be(0)

    @property
    def not_in_changelog(self) -> Measurement:
        """How many commits the changelog should tell of and does not."""
        figure = Measurement("commits that the changelog leaves out", None, source=self.settings.changelog)
        if isinstance(self.entries, ObserverError):
            return replace(figure, problem=self.entries)
        missing = self.unlisted
        problem = ServiceError(
            f"{figure.source} does not tell of {len(missing)} of {len(self.commits)} commits: {listed(missing)}",
            f"Write what they change for users, or name their type if they change nothing "
            f"({', '.join(self.settings.not_listed)}).",
        )
        figure = replace(figure, value=len(missing), samples=len(self.commits))
        return replace(figure, problem=problem) if missing else figure

    @property
    def breaking(self) -> tuple[str, ...]:
        """Everything that says it breaks something, or does."""
        commits = [f"commit {commit.sha[:7]}: {commit.breaking}" for commit in self.commits if commit.breaking]
        entries = self.entries if isinstance(self.entries, tuple) else ()
        told = [f"{self.settings.changelog}: {entry.text}" for entry in entries if entry.breaking]
        found = self.spec_changes if isinstance(self.spec_changes, tuple) else ()
        return (*commits, *told, *(f"{self.settings.openapi}: {change}" for change in found))

    def breaking_changes(self, profiles: tuple[str, ...]) -> Measurement:
        """With their list: "none", "declared" (the run has the profile high-risk) or "undeclared"."""
        figure = Measurement("breaking changes", "none", source=self.source, samples=len(self.commits))
        found = self.breaking
        if found and HIGH_RISK in profiles:
            return replace(figure, value="declared", note=listed(found))
        if found:
            problem = ServiceError(
                "the release breaks what others rely on, and is not deployed as one of high risk:\n"
                + listed(found, "\n"),
                "Deploy it with --profile high-risk: a canary, a longer watch, and a rollback plan in writing.",
            )
            return replace(figure, value="undeclared", note=listed(found), problem=problem)
        unknown = next((part for part in (self.entries, self.spec_changes) if isinstance(part, ObserverError)), None)
        return replace(figure, value=None, problem=unknown) if unknown else figure


@probe
def release_contents(
    checkout: Checkout, release: Release, candidate_commit: str, deployed_commit: str
) -> ReleaseContents:
    """What changes from `deployed_commit` to `candidate_commit` (empty: HEAD). Raises ObserverError."""
    if not deployed_commit:
        raise ObserverError(
            "which commit production runs is not known, so nothing tells what the release changes",
            "Deploy with the label commit-sha (google-github-actions/deploy-cloudrun does), or name the commit.",
        )
    since, until = checkout.commit(deployed_commit), checkout.commit(candidate_commit or "HEAD")
    return ReleaseContents(
        release,
        since,
        until,
        commits=checkout.commits(since, until),
        taken_back=checkout.commits(until, since),
        entries=_entries(checkout, release.changelog, since, until),
        noted=checkout.commits_touching(release.changelog, since, until),
        spec_changes=_spec_changes(checkout, release.openapi, since, until),
        migrations=checkout.changed_files(since, until, release.migrations),
    )


def _entries(checkout: Checkout, path: str, since: str, until: str) -> tuple[ChangelogEntry, ...] | ObserverError:
    after = checkout.text(until, path)
    if after is None:
        return ObserverError(f"the release {until[:7]} has no {path}", "Write one, or mend release.changelog.")
    return new_entries(checkout.text(since, path) or "", after)


def _spec_changes(checkout: Checkout, path: str | None, since: str, until: str) -> tuple[str, ...] | ObserverError:
    if path is None:
        return ()
    before, after = checkout.text(since, path), checkout.text(until, path)
    if after is None:
        return ObserverError(f"the release {until[:7]} has no {path}", "Mend release.openapi, or write the file anew.")
    try:
        new = parse_openapi(after, path)
        return breaking_changes(parse_openapi(before, path), new) if before is not None else ()
    except ObserverError as problem:
        return problem
