"""The arena of the chaos matrix: plays a case in a sandbox, strikes its run, and says which harm was done."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from shutil import copy

from benchmarks import web
from benchmarks.chaos.cases import INSIDE, STARVED, Case
from benchmarks.figure import BenchmarkError
from benchmarks.matrix import USERS, CaseResult, harms_done, patient, play_side_by_side
from benchmarks.programs import ROOT, environment, pytest
from rollback.evidence.control_tag import is_control_tag
from verification.clients.google.cloud_run import CloudRun, ServiceState
from verification.deadline import Deadline, poll
from verification.local_sandbox.addresses import DeploymentNote
from verification.local_sandbox.sandbox import Sandbox
from verification.records.journal import JournalEntry, JournalView
from verification.records.jsonl import read_lines

_WITHIN = 300.0  # a bound for one case, not a figure
_MID_WATCH = "@6s"  # when a release turns bad that is watched
_CI_WITHIN = 60.0  # how long the CI system lets a run hang that owes nothing
_SETTLES_WITHIN = 20.0
_LOOK = 0.03
_SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}
_COMPRESSED = {
    'shift_within = "20s"': 'shift_within = "6s"\ncontrol_within = "5s"',
    'verify_within = "20s"': 'verify_within = "4s"',
    'timeout = "10s"': 'timeout = "4s"',
}


# What should not be after a run. None may ever happen.
HARMS = (
    "left bad and nobody called",
    "healthy rolled back",
    "moved more than once",
    "journal unreadable",
    "report missing",
    "tag left behind, and nobody told",
)


class Arena:
    """A sandbox that plays case after case, and in `folder` the deployment file that describes it."""

    def __init__(self, sandbox: Sandbox, folder: Path, start: type[subprocess.Popen[bytes]]) -> None:
        self._sandbox = sandbox
        self._folder = folder
        self._start = start
        text = (ROOT / "deployment.toml").read_text(encoding="utf-8")
        for old, new in _COMPRESSED.items():
            assert old in text, f"deployment.toml has no {old}"
            text = text.replace(old, new, 1)
        team = folder / "team"
        team.mkdir()
        copy(Path(__file__).with_name("criterion.py"), team / "test_chaos_criterion.py")
        self._deployment = folder / "deployment.toml"
        self._deployment.write_text(f'{patient(text)}\n[criteria]\npaths = ["team"]\n', encoding="utf-8")

    def play(self, case: Case) -> CaseResult:
        """Release, run, strike, and look at what is left. Raises BenchmarkError for a run that does not end."""
        note = self._release(case)
        moves = self._moves()
        output = self._folder / f"case-{case.number}"
        wish = {"blow": case.blow, "delay": case.delay, "once": str(self._folder / f"once-{case.number}")}
        command = pytest("-m", case.phase, "--env", "sandbox", "-p", "no:cacheprovider")
        process = self._start(
            [*command, f"--deployment={self._deployment}", f"--output={output}"],
            cwd=ROOT,
            env=environment({"SANDBOX": self._sandbox.addresses.operator, "CHAOS": json.dumps(wish)}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        output_read: list[bytes] = []
        # Read all the while: a pipe that is full would hold the run up.
        reader = threading.Thread(target=lambda: output_read.append(_read(process)), daemon=True)
        reader.start()
        try:
            self._strike(case, process, output)
            reader.join(_WITHIN)  # ends with the supervisor, which holds the same pipe
            if reader.is_alive():
                raise BenchmarkError(f"{case}: not over within {_WITHIN:g} s")
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        moved = self._moves() - moves
        self._sandbox.plant(())
        text = f"{b''.join(output_read).decode(errors='replace')}\nexit code {process.returncode}"
        return self._result(case, note, output, moved, process.returncode, text)

    def _release(self, case: Case) -> DeploymentNote:
        self._sandbox.plant(())
        self._follow_latest()
        self._sandbox.release([])  # what the case before has left serving may be bad, and no revision to go back to
        begins = _MID_WATCH if case.phase == "monitor" else ""
        return self._sandbox.release([f"login-broken{begins}"] if case.bad else [])

    def _strike(self, case: Case, process: subprocess.Popen[bytes], output: Path) -> None:
        if case.api and _reached("armed", process, output):
            self._sandbox.plant(case.api.split(","))
        if case.blow == STARVED:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_CI_WITHIN)
            process.kill()
        if case.blow in INSIDE or not _reached(case.moment, process, output):
            return
        time.sleep(case.delay)
        with suppress(ProcessLookupError):
            if case.blow in _SIGNALS:
                process.send_signal(_SIGNALS[case.blow])
                return
            for number, pause in ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5), (signal.SIGKILL, 0)):
                process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(pause)

    def _result(self, case: Case, note: DeploymentNote, output: Path, moved: int, code: int, said: str) -> CaseResult:
        journals = sorted(output.glob("*/journal.jsonl"))
        entries = [entry for path in journals for entry in JournalView.read(path).entries]
        lines = [line for path in journals for line in read_lines(path) if line.strip()]
        state = self._settled()
        serving, tagged = set(state.shares), any(is_control_tag(line.tag) for line in state.tags)
        folders = [folder for folder in output.glob("*Z-*") if folder.is_dir()]
        summaries = [_text(folder / "summary.md") for folder in folders]
        finished = [_has_finished(folder) for folder in folders]
        called = any(entry.event == "people-called" for entry in entries)
        # A run that came to its end by itself tells its people: a bad exit code, and a report with the command.
        command = any("--to-revision" in summary for summary in summaries)
        told = called or (all(finished) and code != 0 and command)
        reported = [done or "did not finish" in text for done, text in zip(finished, summaries, strict=True)]
        happened = (
            case.bad and serving != {note.previous} and not told,
            not case.bad and serving != {note.current},
            moved > 1,
            len(lines) != len(entries),
            not folders or not all(reported),
            tagged and not any("--remove-tags" in text for text in (said, *summaries)),
        )
        harms = harms_done(HARMS, happened)
        ending = _ending(case, entries, back=serving == {note.previous}, called=called, told=told)
        return CaseResult(case, harms, ending, said)

    def _follow_latest(self) -> None:
        self._settled()
        there, table = self._sandbox.addresses, self._sandbox.cloud_run("production")
        latest = {"traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]}
        service = f"projects/{table.project}/locations/{table.region}/services/{table.service}"
        address = f"{there.cloud_run.rest}/v2/{service}"
        web.patch(address, params={"updateMask": "traffic"}, json=latest, timeout=10).raise_for_status()
        self._settled()

    def _settled(self) -> ServiceState:
        """The service, once nothing is under way."""
        return CloudRun(self._sandbox.cloud_run("production")).settled_service(_SETTLES_WITHIN)

    def _moves(self) -> int:
        """How often traffic was moved so far."""
        address = f"{self._sandbox.addresses.operator}/served"
        answer = web.get(address, params={"environment": "production"}, timeout=10)
        return int(answer.raise_for_status().json()["moves"])


def _reached(event: str, process: subprocess.Popen[bytes], output: Path) -> bool:
    """Wait until the run's journal has `event`; False when the run ended without it."""

    def has_event() -> bool:
        return any(JournalView.read(path).has(event) for path in output.glob("*/journal.jsonl"))

    if not poll(lambda: has_event() or process.poll() is not None, Deadline.after(_WITHIN), _LOOK):
        raise BenchmarkError(f"the run came neither to {event} nor to its end within {_WITHIN:g} s")
    return has_event()


def _read(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    with process.stdout as pipe:
        return pipe.read()


def _has_finished(folder: Path) -> bool:
    try:
        return json.loads(_text(folder / "verdict.json"))["finished"] is not None
    except (KeyError, ValueError):
        return False


def _text(path: Path) -> str:
    return "\n".join(read_lines(path))


def _ending(case: Case, entries: list[JournalEntry], *, back: bool, called: bool, told: bool) -> str:
    what = "rolled back" if back else "left as it was"
    by = "by the supervisor" if any(entry.event == "resumed" for entry in entries) else "by the run itself"
    people = "people called" if called else "told with the command" if told else "no call"
    return f"{'bad' if case.bad else 'healthy'} release {what}, ended {by}, {people}"


def play_all(
    cases: Sequence[Case], lanes: int, start: type[subprocess.Popen[bytes]] = subprocess.Popen
) -> Iterator[CaseResult]:
    """Play all cases in `lanes` sandboxes side by side, each run by `start`; as they end. Raises BenchmarkError."""
    # A watch judges what users meet; the other phases ask for themselves.
    users = USERS if any(case.phase == "monitor" for case in cases) else ()
    return play_side_by_side(cases, lanes, lambda sandbox, folder: Arena(sandbox, folder, start), *users)
