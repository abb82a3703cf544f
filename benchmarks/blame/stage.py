"""What has happened before a run of the blame matrix begins, and what happens while it runs."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.blame.cases import Case, Control, Row
from benchmarks.blame.relay import Asked, Instead, Relay
from benchmarks.blame.world import ENVIRONMENT, TIMEOUT, Where, World, deployment_file, without_tag_address
from benchmarks.figure import BenchmarkError
from benchmarks.programs import ROOT, environment, pytest
from verification.deadline import Deadline, poll
from verification.records.journal import JournalView

_WITHIN = 240.0  # a bound for one run, not a figure
_LONGER = 2.0  # seconds, than an answer may take
_LOOK = 0.03
_MEDIA = "/media/"
_USERS = 12  # in a row: then the log is clear
_DEAD = "http://127.0.0.1:9"  # nobody listens at the port "discard"
_ONCE = {
    Row.ANSWER_500: Instead(500),
    Row.ANSWER_502: Instead(502),
    Row.ANSWER_RESET: Instead(reset=True),
    Row.ANSWER_LATE: Instead(late=TIMEOUT + _LONGER),
}
_NOT_GIVEN = ("GITHUB_", "GOOGLE_", "CLOUDSDK_", "SLACK_", "PAGERDUTY_")  # nobody real is asked, or called
_IN_FORCE = (Row.PASSWORD, Row.LOCKED, Row.WAF, Row.IAM, Row.SLOW)  # faults of the sandbox, by their names


@dataclass(frozen=True, slots=True)
class Scene:
    """What a run finds. `judged`: the release that serves; `known_bad`: where production must not go."""

    judged: str
    previous: str
    known_bad: frozenset[str] = frozenset()


@dataclass
class Run:
    """A run of pytest: its process, and all that it and its supervisor said."""

    process: subprocess.Popen[bytes]
    output: Path
    earlier: frozenset[Path]  # the folders of earlier runs in `output`

    @property
    def folders(self) -> list[Path]:
        """What it has left behind."""
        return [folder for folder in sorted(self.output.glob("*Z-*")) if folder not in self.earlier]

    def end(self) -> str:
        """Wait for it, and for its supervisor, which holds the same pipe. Raises BenchmarkError."""
        try:
            return self.process.communicate(timeout=_WITHIN)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise BenchmarkError(f"a run was not over within {_WITHIN:g} s") from None

    def reaches(self, event: str) -> bool:
        """Wait until its journal has `event`; False where it ended without. Raises BenchmarkError."""

        def has_event() -> bool:
            return any(JournalView.read(folder / "journal.jsonl").has(event) for folder in self.folders)

        if not poll(lambda: has_event() or self.process.poll() is not None, Deadline.after(_WITHIN), _LOOK):
            raise BenchmarkError(f"the run came neither to {event} nor to its end")
        return has_event()


@dataclass
class Stage:
    """Sets a case up in a sandbox, with a relay before the service and one before Cloud Run's API."""

    world: World
    folder: Path
    case: Case
    service: Relay
    api: Relay
    start: type[subprocess.Popen[bytes]]
    hotfix: str = ""
    _process: subprocess.Popen[bytes] | None = None
    _struck: threading.Lock = field(default_factory=threading.Lock)

    @property
    def where(self) -> Where:
        """The addresses that the deployment file names."""
        if self.case.row is Row.REFUSED:
            return Where(_DEAD, self.api.address)
        return Where(self.service.address, self.api.address)

    def set(self) -> Scene:
        """Release what the case says, the past included."""
        world, case = self.world, self.case
        before = world.put_right()
        if case.kept:
            world.observed(self.output)
        scenes: dict[Row, Callable[[str], Scene]] = {
            Row.PREVIOUS_BAD: self._rolled_back_before,
            Row.PINNED: self._pinned_by_hand,
            Row.HOTFIX: self._to_be_fixed,
            Row.OTHER_SERVICE: self._of_another_service,
            Row.UNSEEN: self._pinned_and_unseen,
        }
        scene = scenes.get(case.row, self._released)(before)
        if case.row in _IN_FORCE:
            world.sandbox.plant([case.row.value])
        return scene

    def play(self, scene: Scene) -> tuple[Run, str]:
        """Run the phase, with what goes wrong meanwhile; it, and what it said. Raises BenchmarkError."""
        self.service.before, self.api.before = self._before, self._before_api
        if self.case.row is Row.CDN:
            self.service.rewritten = self._with_media_elsewhere
        if self.case.control is Control.TAG_SILENT:
            self.api.rewritten = partial(without_tag_address, instead=_DEAD)
        noted = scene.previous if self.case.noted else ""
        run = self._start("-m", self.case.phase, previous=noted)
        self._process = run.process
        try:
            if self.case.row is Row.HOTFIX and run.reaches("begun"):
                time.sleep(self.case.delay)
                self.hotfix = self.world.release(self.case.fault).current
            if self.case.row is not Row.UNSEEN and self.case.control is Control.API_DOWN and run.reaches("armed"):
                in_force = [self.case.row.value] if self.case.row in _IN_FORCE else []
                self.world.sandbox.plant([*in_force, "cloud-run-down"])
        finally:
            said = run.end()
        return run, f"{said}\nexit code {run.process.returncode}"

    @property
    def output(self) -> Path:
        """The folder of all runs of this runner."""
        return self.folder / f"case-{self.case.number}"

    def _released(self, before: str) -> Scene:
        note = self.world.release(self.case.fault)
        return Scene(note.current, before)

    def _rolled_back_before(self, before: str) -> Scene:
        """A release was rolled back, and whoever noted what serves never heard of it."""
        bad = self.world.release("search-broken").current
        self.world.meets_users(bad)
        if self.case.kept:
            self._run_before()
        else:
            self.world.pin(before)
        return self._deployed_by_hand(before, bad, noted=bad)

    def _pinned_by_hand(self, before: str) -> Scene:
        """A release failed, and so did its rollback: a person sent the traffic back."""
        bad = self.world.release("search-broken").current
        self.world.meets_users(bad)
        if self.case.kept:
            self.world.sandbox.plant(["rollback-fails"])
            self._run_before()
            self.world.sandbox.plant([])
        self.world.pin(before)
        return self._deployed_by_hand(before, bad, noted=before)

    def _deployed_by_hand(self, before: str, bad: str, noted: str) -> Scene:
        if self.world.serving() != {before}:
            raise BenchmarkError(f"{before} does not serve before the release that is judged")
        self.world.meets_users(before, _USERS)
        current = self.world.release(self.case.fault).current
        self.world.follow_latest()
        return Scene(current, noted, frozenset({bad}))

    def _to_be_fixed(self, before: str) -> Scene:
        """A release is broken, and a hotfix is on its way: see `play`."""
        broken = self.world.release(self.case.fault or "search-broken").current
        if self.case.kept:
            self._run_before("--no-rollback")
        return Scene(broken, before, frozenset({broken} if self.case.kept else ()))

    def _of_another_service(self, before: str) -> Scene:
        """The deployment file names production's address and another service."""
        previous = self.world.release(role="staging").current
        if self.case.kept:
            self.world.observed(self.output, "staging")
        self.world.release(role="staging")
        return Scene(self._released(before).judged, previous)

    def _pinned_and_unseen(self, before: str) -> Scene:
        """The traffic is pinned, a release gets none of it, and Cloud Run cannot be asked."""
        serves = self.world.release(self.case.fault).current
        self.world.pin(serves)
        self.world.release()
        self.world.sandbox.plant(["cloud-run-down"])
        return Scene(serves, before)

    def _run_before(self, *options: str) -> None:
        """The smoke phase of an earlier release, as this runner ran it."""
        self._start("-m", "smoke", *options).end()

    def _start(self, *options: str, previous: str = "") -> Run:
        file = self.folder / f"deployment-{self.case.number}.toml"
        file.write_text(deployment_file(self.world, self.where, self.case), encoding="utf-8")
        earlier = frozenset(self.output.glob("*Z-*"))
        command = pytest(*options, "--env", ENVIRONMENT, "-p", "no:cacheprovider")
        given = {name: value for name, value in environment({}).items() if not name.startswith(_NOT_GIVEN)}
        process = self.start(
            [*command, f"--deployment={file}", f"--output={self.output}"],
            cwd=ROOT,
            env={**given, **self.world.variables(previous)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return Run(process, self.output, earlier)

    def _before(self, asked: Asked) -> Instead | None:
        case = self.case
        if case.row in _ONCE and asked.path.startswith(case.path) and self._once():
            return _ONCE[case.row]
        if case.row is Row.FRONT_END:
            return Instead(502)
        if case.row is Row.QUESTION_LOST and asked.number >= case.nth and self._once():
            return Instead(reset=True)
        if case.row is Row.STOOD_STILL and asked.number >= case.nth and self._once():
            self._stand_still()
        return None

    def _with_media_elsewhere(self, body: bytes) -> bytes:
        """A listing of the service's in which another host has the media."""
        return body.replace(f"{self.service.address}{_MEDIA}".encode(), f"{self.api.address}{_MEDIA}".encode())

    def _before_api(self, asked: Asked) -> Instead | None:
        if asked.path.startswith(_MEDIA):
            return Instead(503)
        sets_tag = asked.method == "PATCH" and b"dv-control-" in asked.body
        return Instead(403) if sets_tag and self.case.control is Control.TAG_REFUSED else None

    def _once(self) -> bool:
        """True for the first who asks."""
        return self._struck.acquire(blocking=False)

    def _stand_still(self) -> None:
        """Stop the run's process for longer than an answer may take, as a paused machine is."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGSTOP)
            time.sleep(TIMEOUT + _LONGER)
            self._process.send_signal(signal.SIGCONT)
