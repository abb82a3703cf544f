"""What a release changes: commits, changelog, what it breaks; and what cannot be known of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.source_tree.clone import Clone, git, reason
from verification.errors import ObserverError, ServiceError
from verification.probes.release import ReleaseContents, release_contents
from verification.settings.checkout import Release
from verification.source_tree.checkout import Checkout, Commit
from verification.verdict import collecting

SETTINGS = Release(openapi="backend/openapi.json", migrations=["backend/migrations/*.py"])
NEWS = "# Changelog\n\n## Unreleased\n\n{}\n"


def release(clone: Clone, settings: Release = SETTINGS) -> ReleaseContents:
    return release_contents(clone.checkout, settings, clone.candidate, clone.deployed)


def fresh(clone: Clone) -> Clone:
    """Production runs what the clone has."""
    clone.deployed = clone.candidate
    return clone


def test_the_commits_and_migrations_of_a_release_are_listed(clone: Clone) -> None:
    with collecting() as measured:
        release(clone).must_be_covered_by_its_changelog()
    commits, migrations, missing = measured
    assert commits.value == 3
    assert "feat(search): look into subtitles (#41)" in commits.note
    assert (migrations.value, migrations.note) == (1, "backend/migrations/20260115_0900_add_subtitles.py")
    assert missing.value == 0


def test_a_commit_that_the_changelog_leaves_out_is_named(clone: Clone) -> None:
    clone.change("feat: a watch list for each profile", {"backend/app/lists.py": "LISTS = []\n"})
    with pytest.raises(ServiceError, match=r"does not tell of 1 of 4 commits: \w{7} feat: a watch list") as failed:
        release(clone).must_be_covered_by_its_changelog()
    assert failed.value.remedy


@pytest.mark.parametrize(
    ("subject", "entry", "covered"),
    [
        ("feat: a watch list for each profile", "Every profile keeps a list of what to watch.", True),
        ("feat: a watch list for each profile", "Each profile has watch lists.", True),
        ("feat: a watch list for each profile (#77)", "Remember films for later (#77).", True),
        ("fix: subtitles load late", "Subtitles are loaded in time.", True),
        ("feat: a watch list for each profile", "Faster search.", False),
        ("feat: a watch list for each profile (#77)", "Something else entirely (#7).", False),
        ("feat: a watch list for each profile", "", False),
        ("make it so", "Search is faster.", False),
        ("chore: tidy up the imports", "", True),
        ("Refactor(player): smaller functions", "", True),
        ("Tidy up the imports", "", False),
    ],
)
def test_an_entry_covers_a_commit_by_its_number_or_its_words(
    clone: Clone, subject: str, entry: str, *, covered: bool
) -> None:
    fresh(clone).change(subject, {"a": "b"})
    clone.change("docs: changelog", {"CHANGELOG.md": NEWS.format(f"- {entry}" if entry else "")})
    assert (release(clone).not_in_changelog.value == 0) is covered


def test_an_entry_may_name_the_commit_by_its_id(clone: Clone) -> None:
    sha = fresh(clone).change("feat: a watch list", {"a": "b"})
    clone.change("docs: changelog", {"CHANGELOG.md": NEWS.format(f"- Lists ({sha[:8]})")})
    assert release(clone).not_in_changelog.value == 0


def test_a_commit_that_writes_its_own_entry_is_covered(clone: Clone) -> None:
    fresh(clone).change("feat: a watch list", {"a": "b", "CHANGELOG.md": NEWS.format("- Remember films for later.")})
    assert release(clone).not_in_changelog.value == 0


def test_an_entry_that_only_moved_below_its_version_covers_nothing_new(clone: Clone) -> None:
    entry = "- Each profile has a watch list."
    fresh(clone).change("docs: early", {"CHANGELOG.md": NEWS.format(entry)})
    fresh(clone).change("feat: a watch list for each profile", {"a": "b"})
    clone.change("docs: release", {"CHANGELOG.md": NEWS.format(f"## 1.5.0\n\n{entry}")})
    assert release(clone).not_in_changelog.value == 1


def test_a_release_without_its_changelog_is_not_known_to_be_covered(clone: Clone) -> None:
    missing = release(clone, Release(changelog="NEWS.md")).not_in_changelog
    assert isinstance(missing.problem, ObserverError)
    assert "has no NEWS.md" in reason(missing)


def test_a_release_without_commits_is_covered_and_says_so(clone: Clone) -> None:
    contents = release(fresh(clone))
    assert contents.not_in_changelog.value == 0
    assert "nothing new" in contents.size.note


def test_what_a_release_would_take_back_is_told(clone: Clone) -> None:
    git(clone.path, "switch", "--quiet", "--detach", clone.deployed)
    fixed = clone.change("fix: the outage of last night", {"a": "b"})
    git(clone.path, "switch", "--quiet", "main")
    clone.deployed, clone.candidate = fixed, git(clone.path, "rev-parse", "main")
    assert "this release lacks: " in release(clone).size.note
    assert "the outage of last night" in release(clone).size.note


@pytest.mark.parametrize(
    "message",
    [
        "feat!: one login for all profiles",
        "feat(auth)!: one login for all profiles",
        "feat: x\n\nBREAKING CHANGE: one login for all profiles",
        "feat: x\n\ntext\n\nBREAKING-CHANGE: one login for all profiles",
    ],
)
def test_a_commit_that_says_it_breaks_something_is_believed(clone: Clone, message: str) -> None:
    clone.change(message, {"a": "b"})
    with pytest.raises(ServiceError, match="one login for all profiles") as failed:
        release(clone).breaking_changes(()).must_be_one_of("none", "declared")
    assert "--profile high-risk" in failed.value.remedy


@pytest.mark.parametrize("message", ["feat: wow! it works", "fix: no breaking change: all is well", "Look! a fix"])
def test_a_commit_that_says_nothing_of_the_kind_breaks_nothing(clone: Clone, message: str) -> None:
    clone.change(message, {"a": "b"})
    release(clone).breaking_changes(()).must_be("none")


@pytest.mark.parametrize(
    ("news", "breaks"),
    [
        ("### Breaking changes\n\n- Old tokens end.", True),
        ("### Backward-incompatible\n\n- Old tokens end.", True),
        ("### Changed\n\n- **BREAKING**: old tokens end.", True),
        ("### Changed\n\n- Breaking change: old tokens end.", True),
        ("### Breaking changes\n\n- None.", False),
        ("### Non-breaking changes\n\n- Newer tokens.", False),
        ("### Added\n\n- Circuit breaking for a slow dependency.", False),
        ("<!-- ### Breaking changes\n\n- a template -->", False),
    ],
)
def test_the_changelogs_headings_are_read(clone: Clone, news: str, *, breaks: bool) -> None:
    clone.change("docs: changelog", {"CHANGELOG.md": NEWS.format(news)})
    assert (release(clone).breaking_changes(()).value == "undeclared") is breaks


def test_a_changed_api_is_found_though_nobody_declared_it(clone: Clone) -> None:
    document = json.loads((clone.path / "backend/openapi.json").read_text())
    del document["paths"]["/api/v1/search"]
    clone.change("refactor: smaller", {"backend/openapi.json": json.dumps(document)})
    assert "/api/v1/search: the path is gone" in reason(release(clone).breaking_changes(()))


def test_a_breaking_release_of_high_risk_passes_with_its_list(clone: Clone) -> None:
    clone.change("feat!: one login for all profiles", {"a": "b"})
    declared = release(clone).breaking_changes(("high-risk",))
    declared.must_be("declared")
    assert "one login for all profiles" in declared.note


@pytest.mark.parametrize("text", ["{", "[]", '{"openapi": "3.1.0"}', '{"swagger": "2.0", "paths": {}}'])
def test_a_description_that_cannot_be_read_leaves_it_unknown(clone: Clone, text: str) -> None:
    clone.change("chore: x", {"backend/openapi.json": text})
    unknown = release(clone).breaking_changes(())
    assert isinstance(unknown.problem, ObserverError)
    assert "release.openapi" in reason(unknown) or "swagger2openapi" in reason(unknown)


def test_a_breaking_commit_fails_even_where_the_description_cannot_be_read(clone: Clone) -> None:
    clone.change("feat!: one login", {"backend/openapi.json": "{"})
    assert release(clone).breaking_changes(()).value == "undeclared"


def test_a_new_description_breaks_nothing(clone: Clone) -> None:
    settings = SETTINGS.model_copy(update={"openapi": "api.json"})
    clone.change("chore: x", {"api.json": (clone.path / "backend/openapi.json").read_text()})
    assert release(clone, settings).breaking_changes(()).value == "none"


def test_without_the_deployed_commit_nothing_is_known(clone: Clone) -> None:
    with pytest.raises(ObserverError, match="which commit production runs is not known") as unknown:
        release_contents(clone.checkout, SETTINGS, "", "")
    assert "commit-sha" in unknown.value.remedy


@pytest.mark.parametrize("name", ["0" * 40, "no-such-branch", "--help", "-x", "HEAD:backend"])
def test_a_commit_that_the_clone_has_not_is_named(clone: Clone, name: str) -> None:
    with pytest.raises(ObserverError, match="has no commit") as unknown:
        release_contents(clone.checkout, SETTINGS, "", name)
    assert "fetch" in unknown.value.remedy


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_shallow_clone_that_may_lack_commits_is_named(clone: Clone, tmp_path: Path, depth: int) -> None:
    """With a depth of 3 the deployed commit is just out of reach."""
    git(tmp_path, "clone", "--quiet", f"--depth={depth}", f"file://{clone.path}", "shallow")
    with pytest.raises(ObserverError, match="shallow clone") as unknown:
        release_contents(Checkout(tmp_path / "shallow"), SETTINGS, "", clone.deployed)
    assert "fetch-depth: 0" in unknown.value.remedy


def test_a_shallow_clone_that_reaches_the_deployed_commit_is_enough(clone: Clone, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=4", f"file://{clone.path}", "shallow")
    assert len(release_contents(Checkout(tmp_path / "shallow"), SETTINGS, "", clone.deployed).commits) == 3


def test_a_shallow_clone_with_a_second_line_of_history_cut_off_is_named(clone: Clone, tmp_path: Path) -> None:
    git(clone.path, "switch", "--quiet", "--orphan", "other")
    for number in range(4):
        clone.change(f"feat: {number}", {f"other{number}": "x"})
    git(clone.path, "switch", "--quiet", "main")
    git(clone.path, "merge", "--quiet", "--allow-unrelated-histories", "-m", "merge", "other")
    git(tmp_path, "clone", "--quiet", "--depth=5", f"file://{clone.path}", "shallow")
    git(tmp_path / "shallow", "fetch", "--quiet", "--depth=3", "origin", "main")
    git(tmp_path / "shallow", "fetch", "--quiet", "--depth=1", "origin", clone.deployed)
    with pytest.raises(ObserverError, match="its history ends before"):
        release_contents(Checkout(tmp_path / "shallow"), SETTINGS, "origin/main", clone.deployed)


def test_messages_in_any_shape_are_kept_apart(clone: Clone) -> None:
    odd = "feat: ünïcode \x1e\x1f; and | more\n\nbody\n\n\nfeat!: not a subject"
    fresh(clone).change(odd, {"a": "b"})
    (commit,) = release(clone).commits
    assert commit.subject == "feat: ünïcode \x1e\x1f; and | more"
    assert commit.body.endswith("feat!: not a subject")
    assert not commit.breaking


def test_merges_are_no_commits_of_their_own(clone: Clone) -> None:
    git(clone.path, "switch", "--quiet", "-c", "topic", fresh(clone).deployed)
    clone.change("chore: on the side", {"side": "x"})
    git(clone.path, "switch", "--quiet", "main")
    clone.change("chore: in the middle", {"middle": "x"})
    git(clone.path, "merge", "--quiet", "-m", "Merge topic", "topic")
    clone.candidate = git(clone.path, "rev-parse", "HEAD")
    assert {one.subject for one in release(clone).commits} == {"chore: on the side", "chore: in the middle"}


@pytest.mark.parametrize(
    ("subject", "kind", "description"),
    [
        ("feat(api)!: x", "feat", "x"),
        ("Fix: y", "fix", "y"),
        ("no type at all", "", "no type at all"),
        ("feat:no blank", "", "feat:no blank"),
        ("Merge: a: b", "merge", "a: b"),
    ],
)
def test_subjects_are_read_as_conventional_commits(subject: str, kind: str, description: str) -> None:
    commit = Commit("0" * 40, subject)
    assert (commit.type, commit.description) == (kind, description)
