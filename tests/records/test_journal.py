from __future__ import annotations

import threading
from pathlib import Path

import pytest

from verification.records.journal import Journal, JournalEntry, JournalView
from verification.redaction import register


def read(path: Path) -> list[JournalEntry]:
    return list(JournalView.read(path).entries)


def test_each_line_is_on_disk_when_write_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "journal.jsonl")
    journal.write("failed", criterion="login", reason="500")
    entry = read(journal.path)[0]
    assert (entry.seq, entry.event, entry.text("criterion"), entry.text("nothing")) == (1, "failed", "login", "")
    assert entry.at.tzinfo is not None


def test_a_torn_last_line_is_passed_over_and_the_journal_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("armed")
    with journal.path.open("a") as file:
        file.write('{"seq": 2, "at": "2026-01-')
    continued = Journal(journal.path)
    continued.write("failed")
    assert [(entry.seq, entry.event) for entry in read(journal.path)] == [(1, "armed"), (2, "failed")]


@pytest.mark.parametrize("line", ["[]", "{}", "null", '{"seq": 1, "at": 5, "event": "x"}', "\x00\xff"])
def test_a_foreign_line_is_passed_over(line: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(f"{line}\n", encoding="latin-1")
    assert read(path) == []


def test_text_with_any_line_separator_stays_one_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("failed", reason="a\u2028b\nc\x85d")
    assert [entry.text("reason") for entry in read(journal.path)] == ["a\u2028b\nc\x85d"]


def test_a_full_disk_is_said_once_and_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(Path("/dev/full"))
    journal.write("armed")
    journal.write("failed")
    assert "No space left" in journal.problem
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_no_secret_gets_in(tmp_path: Path) -> None:
    register("hunter2-but-longer")
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("failed", reason="told hunter2-but-longer", obstacles=["to hunter2-but-longer"])
    assert "hunter2" not in journal.path.read_text()
    assert len(read(journal.path)) == 1


def test_several_threads_write_whole_lines_in_their_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")

    def write() -> None:
        for number in range(50):
            journal.failed(f"criterion {number}", "said by whoever was first")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.seq for entry in read(journal.path)] == list(range(1, 51))


def test_a_criterion_fails_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.failed("login", "500")
    journal.failed("login")
    Journal(journal.path).failed("login")
    assert [entry.text("reason") for entry in read(journal.path)] == ["500"]
