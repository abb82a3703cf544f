"""Runs that are killed, interrupted and starved at random instants, while Cloud Run fails in every way: what is left?

Seeded, so that a case can be played again: `python -m benchmarks.chaos --seed 1 --runs 300`, `--only 17`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

import httpx

from benchmarks.chaos_cases import INSIDE, STARVED, Case, matrix
from benchmarks.figure import BenchmarkError
from benchmarks.programs import ROOT, environment, pytest, sandbox
from verification.local_sandbox.addresses import Addresses
from verification.records.journal import JournalEntry, JournalView

_WITHIN = 300.0  # a bound for one case, not a figure
_USERS_RPM = "600"
_MID_WATCH = "@6s"  # when a release turns bad that is watched
_CI_WITHIN = 60.0  # how long the CI system lets a run hang that owes nothing
_SETTLES_WITHIN = 20.0
_LOOK = 0.03
_SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}
_COMPRESSED = {
    'shift_within = "20s"': 'shift_within = "4s"',
    'verify_within = "20s"': 'verify_within = "4s"',
    'timeout = "10s"': 'timeout = "4s"',
}
# How fast a machine answers that plays many cases at once is not what is asked here.
_PATIENT = ("p95", "mongodb", "openai", "elevenlabs", "pinecone")
_CRITERION = '''
import ctypes, json, os, pathlib, resource, time
import pytest

WISH = json.loads(os.environ["CHAOS"])
ONCE = pathlib.Path(WISH["once"])
TIMED = WISH["blow"].startswith("timeout") and not ONCE.exists()
METHOD = "thread" if WISH["blow"].endswith("thread") else "signal"
timed = pytest.mark.timeout(0.2 + WISH["delay"], method=METHOD) if TIMED else (lambda test: test)


@pytest.mark.smoke
@pytest.mark.monitor
@timed
def test_chaos():
    """Something breaks, once."""
    if ONCE.exists():
        return
    ONCE.touch()
    if TIMED:
        time.sleep(60)
    time.sleep(WISH["delay"])
    if WISH["blow"] == "os._exit":
        os._exit(3)
    if WISH["blow"] == "segfault":
        ctypes.string_at(0)
    if WISH["blow"] == "out of memory":
        used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 32_000_000, resource.RLIM_INFINITY))
        bytearray(100_000_000)
    if WISH["blow"] == "starved of memory":
        resource.setrlimit(resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))
    if WISH["blow"] == "full disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
'''


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run left behind. The first four are the promise: none may ever be true."""

    case: Case
    left_bad_and_nobody_called: bool
    healthy_rolled_back: bool
    moved_more_than_once: bool
    journal_unreadable: bool
    report_missing: bool
    ending: str
    said: str

    @property
    def harms(self) -> tuple[str, ...]:
        """What should not have happened."""
        names = HARMS
        return tuple(name for name in names if getattr(self, name))


HARMS = (
    "left_bad_and_nobody_called",
    "healthy_rolled_back",
    "moved_more_than_once",
    "journal_unreadable",
    "report_missing",
)


@dataclass
class Arena:
    """A sandbox that all cases of one lane share, and the deployment file that describes it."""

    addresses: Addresses
    folder: Path
    deployment: Path = field(init=False)

    def __post_init__(self) -> None:
        text = (ROOT / "deployment.toml").read_text(encoding="utf-8")
        for old, new in _COMPRESSED.items():
            assert old in text, f"deployment.toml has no {old}"
            text = text.replace(old, new, 1)
        for name in _PATIENT:
            text = text.replace(f'{name}_latency = "', f'{name}_latency = "1m ')
        team = self.folder / "team"
        team.mkdir()
        (team / "test_chaos_criterion.py").write_text(_CRITERION, encoding="utf-8")
        self.deployment = self.folder / "deployment.toml"
        self.deployment.write_text(f'{text}\n[criteria]\npaths = ["team"]\n', encoding="utf-8")

    def play(self, case: Case) -> Seen:
        """Release, run, strike, and look at what is left."""
        note, moves = self._released(case)
        output = self.folder / f"case-{case.number}"
        wish = {"blow": case.blow, "delay": case.delay, "once": str(self.folder / f"once-{case.number}")}
        command = pytest("-m", case.phase, "--env", "sandbox", "-p", "no:cacheprovider")
        process = subprocess.Popen(
            [*command, f"--deployment={self.deployment}", f"--output={output}"],
            cwd=ROOT,
            env=environment({"SANDBOX": self.addresses.operator, "CHAOS": json.dumps(wish)}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._strike(case, process, output)
            said, _ = process.communicate(timeout=_WITHIN)  # ends with the supervisor, which holds the same pipe
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"{case}: not over within {_WITHIN:g} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        moved = self._served()["moves"] - moves
        self._put_faults()
        return self._seen(case, note, output, moved, process.returncode, said.decode(errors="replace"))

    def _released(self, case: Case) -> tuple[dict[str, str], int]:
        self._put_faults()
        self._follow_latest()
        begins = _MID_WATCH if case.phase == "monitor" else ""
        faults = [f"login-broken{begins}"] if case.bad else []
        answer = httpx.post(
            f"{self.addresses.operator}/release", json={"environment": "production", "faults": faults}, timeout=30
        )
        return answer.raise_for_status().json(), self._served()["moves"]

    def _strike(self, case: Case, process: subprocess.Popen[bytes], output: Path) -> None:
        if case.api and _reached("armed", process, output):
            self._put_faults(*case.api.split(","))
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

    def _seen(self, case: Case, note: dict[str, str], output: Path, moved: int, code: int, said: str) -> Seen:
        journals = sorted(output.glob("*/journal.jsonl"))
        entries = [entry for path in journals for entry in JournalView.read(path).entries]
        lines = [line for path in journals for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        serving = self._settled()
        folders = [one for one in output.glob("*Z-*") if one.is_dir()]
        finished = [_verdict(one).get("finished") is not None for one in folders]
        called = any(one.event == "people-called" for one in entries)
        # A run that came to its end by itself tells its people: a bad exit code, and a report with the command.
        command = any("--to-revision" in _summary(one) for one in folders)
        told = called or (all(finished) and code != 0 and command)
        exists = bool(folders) and all(
            done or "did not finish" in _summary(one) for one, done in zip(folders, finished, strict=True)
        )
        return Seen(
            case,
            left_bad_and_nobody_called=case.bad and serving != {note["previous"]} and not told,
            healthy_rolled_back=not case.bad and serving != {note["current"]},
            moved_more_than_once=moved > 1,
            journal_unreadable=len(lines) != len(entries),
            report_missing=not exists,
            ending=_ending(case, entries, back=serving == {note["previous"]}, called=called, told=told),
            said=f"{said}\nexit code {code}",
        )

    def _put_faults(self, *faults: str) -> None:
        httpx.put(f"{self.addresses.operator}/faults", json={"faults": list(faults)}, timeout=10).raise_for_status()

    def _follow_latest(self) -> None:
        latest = [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
        self._settled()
        answer = httpx.patch(self._service, params={"updateMask": "traffic"}, json={"traffic": latest}, timeout=10)
        answer.raise_for_status()
        self._settled()

    def _settled(self) -> set[str]:
        """What serves, once nothing is under way."""
        deadline = time.monotonic() + _SETTLES_WITHIN
        while True:
            document = httpx.get(self._service, timeout=10).raise_for_status().json()
            if not document.get("reconciling"):
                latest = document["latestReadyRevision"].rpartition("/")[2]
                return {line.get("revision") or latest for line in document["trafficStatuses"] if line.get("percent")}
            if time.monotonic() > deadline:
                raise BenchmarkError("the sandbox's Cloud Run does not settle")
            time.sleep(0.05)

    def _served(self) -> dict[str, int]:
        answer = httpx.get(f"{self.addresses.operator}/served", params={"environment": "production"}, timeout=10)
        return {"moves": int(answer.raise_for_status().json()["moves"])}

    @property
    def _service(self) -> str:
        there = self.addresses
        name = there.environments["production"].service
        return f"{there.cloud_run.rest}/v2/projects/{there.project}/locations/{there.region}/services/{name}"


def _reached(event: str, process: subprocess.Popen[bytes], output: Path) -> bool:
    """Wait until the run's journal has `event`; False when the run ended without it."""
    deadline = time.monotonic() + _WITHIN
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if any(f'"event": "{event}"' in path.read_text(encoding="utf-8") for path in output.glob("*/journal.jsonl")):
            return True
        if ended:
            return False
        time.sleep(_LOOK)
    raise BenchmarkError(f"the run came neither to {event} nor to its end within {_WITHIN:g} s")


def _verdict(folder: Path) -> dict[str, object]:
    try:
        document: dict[str, object] = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document


def _summary(folder: Path) -> str:
    try:
        return (folder / "summary.md").read_text(encoding="utf-8")
    except OSError:
        return ""


def _ending(case: Case, entries: list[JournalEntry], *, back: bool, called: bool, told: bool) -> str:
    what = "rolled back" if back else "left as it was"
    by = "by the supervisor" if any(one.event == "resumed" for one in entries) else "by the run itself"
    people = "people called" if called else "told with the command" if told else "no call"
    return f"{'bad' if case.bad else 'healthy'} release {what}, ended {by}, {people}"


def play_all(cases: Sequence[Case], lanes: int) -> Iterator[Seen]:
    """Play all cases in `lanes` sandboxes side by side; as they end."""
    # A watch judges what users meet; the other phases ask for themselves.
    users = ("--users-rpm", _USERS_RPM) if any(case.phase == "monitor" for case in cases) else ()
    waiting: Queue[Case] = Queue()
    for case in cases:
        waiting.put(case)
    done: Queue[Seen | Exception] = Queue()

    def lane() -> None:
        with tempfile.TemporaryDirectory() as folder, sandbox(*users) as started:
            arena = Arena(started.addresses, Path(folder))
            while not waiting.empty():
                done.put(arena.play(waiting.get()))

    def guarded() -> None:
        try:
            lane()
        except Exception as error:
            done.put(error)

    with ThreadPoolExecutor(lanes) as pool:
        for _ in range(lanes):
            pool.submit(guarded)
        for _ in cases:
            seen = done.get()
            if isinstance(seen, Exception):
                while not waiting.empty():
                    waiting.get()
                raise seen
            yield seen


def main() -> int:
    """Exit codes: 0 no harm was done, 1 some was."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--lanes",
        type=int,
        default=2 * (os.cpu_count() or 1),
        help="sandboxes side by side; a killed run waits more than it computes",
    )
    parser.add_argument("--quick", action="store_true", help="without watches and what else takes long")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="one case of the matrix, with all that it said")
    options = parser.parse_args()
    cases = matrix(options.seed, options.runs, quick=options.quick)
    if options.only is not None:
        cases = [cases[options.only]]
    harms: Counter[str] = Counter()
    endings: Counter[str] = Counter()
    began = time.monotonic()
    for seen in play_all(cases, min(options.lanes, len(cases))):
        harms.update(seen.harms)
        endings[seen.ending] += 1
        print(f"{seen.case}: {seen.ending} {' '.join(seen.harms).upper()}", flush=True)
        if seen.harms or options.only is not None:
            print(seen.said, flush=True)
    print(f"\n{len(cases)} runs, seed {options.seed}, {time.monotonic() - began:.0f} s")
    for name in HARMS:
        print(f"{harms[name]:5}  {name.replace('_', ' ')}")
    for ending, count in endings.most_common():
        print(f"{count:5}  {ending}")
    return int(bool(harms))


if __name__ == "__main__":
    sys.exit(main())
