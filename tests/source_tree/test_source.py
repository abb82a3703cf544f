"""What lies in the checkout, and what must not be left in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.source_tree.clone import Clone, git, reason
from verification.errors import ObserverError, ServiceError
from verification.probes.source import PlaceholderScan, placeholder_scan
from verification.probes.source import tested_tree as state_of_tree  # pytest would take "tested_tree" for a test
from verification.settings.checkout import Code, Placeholders
from verification.source_tree.checkout import Checkout
from verification.verdict import Measurement

CODE = Code.model_validate({"directory": "backend", "tests": "pytest", "coverage": "coverage.xml"})


def scanned(clone: Clone, *allowed: str) -> PlaceholderScan:
    wanted = Placeholders(paths=["backend/app"], allowed=["backend/app/demo/**", *allowed])
    return placeholder_scan(clone.checkout, CODE.model_copy(update={"placeholders": wanted}))


def state(clone: Clone, candidate: str | None = None) -> Measurement:
    return state_of_tree(clone.checkout, CODE, clone.candidate if candidate is None else candidate)


@pytest.mark.parametrize(
    "line", ["# TODO", "x = 1  # FIXME: soon", "MOCK_USERS = []", "return STUB", "(TODO)", "TODO:", "# ünfertig TODO"]
)
def test_a_placeholder_is_found_with_its_place(clone: Clone, line: str) -> None:
    clone.write("backend/app/new.py", f"import os\n{line}\n")
    with pytest.raises(ServiceError, match=r"backend/app/new\.py:2: ") as found:
        scanned(clone).found.must_be(0)
    assert "code.placeholders.allowed" in found.value.remedy


@pytest.mark.parametrize("line", ["STUBBORN = 1", "todo = []", "MOCKINGBIRD = 2", "a = 'hiTODO'", "TODOS = 3"])
def test_a_word_that_only_contains_one_is_none(clone: Clone, line: str) -> None:
    clone.write("backend/app/new.py", line + "\n")
    scanned(clone).found.must_be(0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("backend/app/__pycache__/x.py", b"# TODO\n"),
        ("backend/app/picture.bin", b"\x00\x01TODO\n"),
        ("backend/app/ignored.py", b"# TODO\n"),
        ("backend/app/deep/also_ignored.py", b"# TODO\n"),
        ("backend/app/demo/more/deep.py", b"# TODO\n"),
        ("backend/tests/test_x.py", b"# TODO\n"),
    ],
)
@pytest.mark.parametrize("exported", [False, True], ids=["clone", "no repository"])
def test_what_is_no_code_of_the_release_is_left_out(clone: Clone, name: str, content: bytes, *, exported: bool) -> None:
    clone.write(".gitignore", "ignored.py\n")
    clone.write("backend/app/deep/.gitignore", "also_*\n")
    clone.write(name, content)
    if exported:
        shutil.rmtree(clone.path / ".git")
    found = scanned(clone).found
    found.must_be(0)
    assert found.samples


def test_an_export_is_scanned_and_left_as_it_is(clone: Clone) -> None:
    shutil.rmtree(clone.path / ".git")
    clone.write("backend/app/new.py", "# TODO\n")
    before = sorted(clone.path.rglob("*"))
    assert scanned(clone).found.value == 1
    assert sorted(clone.path.rglob("*")) == before


def test_files_with_odd_names_are_named(clone: Clone) -> None:
    clone.write("backend/app/a b:7:é\nc.py", "# TODO\n")
    hits = scanned(clone).hits
    assert [(one.path, one.line) for one in hits] == [("backend/app/a b:7:é\nc.py", 1)]


def test_many_hits_are_counted_and_the_first_shown(clone: Clone) -> None:
    clone.write("backend/app/new.py", "# TODO\n" * 50)
    assert "50 lines" in reason(scanned(clone).found)
    assert "and 30 more" in reason(scanned(clone).found)


def test_a_scan_of_nothing_proves_nothing(clone: Clone) -> None:
    nowhere = CODE.model_copy(update={"placeholders": Placeholders(paths=["backend/application"])})
    with pytest.raises(ObserverError, match="there is no file in backend/application"):
        placeholder_scan(clone.checkout, nowhere).found.must_be(0)


def test_a_clean_clone_at_the_candidate_is_the_release(clone: Clone) -> None:
    clone.write("backend/coverage.xml", "written by the tests")
    clone.write(".gitignore", (clone.path / ".gitignore").read_text())
    state(clone).must_be("the release")
    state(clone, candidate="").must_be("the release")
    state(clone, candidate=clone.candidate[:10]).must_be("the release")


@pytest.mark.parametrize(
    ("name", "named"),
    [("backend/app/playback.py", "playback.py"), ("CHANGELOG.md", "CHANGELOG.md"), ("backend/new.py", "new.py")],
)
def test_a_changed_clone_is_not_the_release(clone: Clone, name: str, named: str) -> None:
    clone.write(name, "# changed\n")
    with pytest.raises(ObserverError, match=named):
        state(clone).must_be("the release")


def test_a_note_beside_the_code_changes_nothing(clone: Clone) -> None:
    clone.write("notes.txt", "lunch at one")
    state(clone).must_be("the release")


def test_another_commit_is_not_the_release(clone: Clone) -> None:
    git(clone.path, "switch", "--quiet", "--detach", clone.deployed)
    words = reason(state(clone))
    assert clone.deployed[:7] in words
    assert f"switch --detach {clone.candidate[:12]}" in words


def test_a_clone_that_is_none_is_named(clone: Clone, tmp_path: Path) -> None:
    shutil.rmtree(clone.path / ".git")
    assert "is not a git repository" in reason(state(clone))
    gone = state_of_tree(Checkout(tmp_path / "gone"), CODE, "")
    assert "there is no directory" in reason(gone)


def test_a_folder_of_another_repository_is_not_taken_for_the_services(clone: Clone) -> None:
    inner = state_of_tree(Checkout(clone.path / "backend"), CODE, "")
    assert "lies inside the git repository" in reason(inner)


def test_a_machine_without_git_is_named(clone: Clone) -> None:
    with pytest.raises(ObserverError, match="git is not installed"):
        Checkout(clone.path, variables={"PATH": "/nonexistent"}).commit("HEAD")


def test_a_git_that_hangs_is_not_waited_for(clone: Clone, tmp_path: Path) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    with pytest.raises(ObserverError, match="did not answer within"):
        Checkout(clone.path, 0.3, {"PATH": f"{slow.parent}:/usr/bin:/bin"}).commit("HEAD")


def test_a_git_hooks_variables_do_not_lead_astray(clone: Clone, tmp_path: Path) -> None:
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_DIR": str(tmp_path), "HOME": str(tmp_path)}
    assert Checkout(clone.path, variables=variables).commit("HEAD") == clone.candidate


def test_a_clone_that_git_distrusts_comes_with_the_command_that_helps(clone: Clone, tmp_path: Path) -> None:
    distrusting = tmp_path / "bin" / "git"
    distrusting.parent.mkdir()
    # Git's own switch for its tests: it takes every repository for another user's.
    real = shutil.which("git")
    distrusting.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {real} "$@"\n')
    distrusting.chmod(0o755)
    checkout = Checkout(clone.path, variables={"PATH": f"{distrusting.parent}:/usr/bin:/bin", "HOME": str(tmp_path)})
    with pytest.raises(ObserverError, match="belongs to another user") as refused:
        checkout.commit("HEAD")
    assert "safe.directory" in refused.value.remedy


def test_nothing_in_the_clone_is_changed(clone: Clone) -> None:
    def everything() -> dict[Path, tuple[int, int]]:
        return {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in clone.path.rglob("*")}

    before = everything()
    state(clone)
    scanned(clone)
    clone.checkout.commits(clone.deployed, clone.candidate)
    assert everything() == before
    assert (
        subprocess.run(["git", "-C", clone.path, "status", "--porcelain"], capture_output=True, check=True).stdout
        == b""
    )
