"""Puts the watch of a run together: which revision, what was normal before it, which sources, which criteria."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from verification.clients.service.client import Service
from verification.deadline import Deadline, poll
from verification.errors import ObserverError, VerificationError
from verification.judge.confirmation import Answers
from verification.series import WatchSnapshot
from verification.watch.baseline import Baseline, file_of, latest_visible, read_baseline, stored, with_history
from verification.watch.criteria.from_settings import BlockGrid, configured_criteria
from verification.watch.criteria.repeated_checks import FLOWS, HEALTH
from verification.watch.criteria.traffic import LOG, METRICS
from verification.watch.questions_again import ask_again
from verification.watch.result import WatchResult
from verification.watch.samples import Sample, SampleFile
from verification.watch.sources.factory import SourceFactory, WatchContext, pace_of
from verification.watch.watch import BEGUN, Watch, WatchPlan

SAMPLES = "samples.csv"
_PAUSE = 0.5
_STREAMS = {"basic_health": HEALTH, **{name: f"{FLOWS}{name}" for name in ("login", "content_listing", "search")}}
_BY_SETTING = {"cloud_logging": LOG, "cloud_monitoring": METRICS}


class Watcher:
    """The watch of one run; nothing outside is asked before it begins."""

    def __init__(self, context: WatchContext) -> None:
        self._context = context
        self._watch: Watch | None = None
        self._stopped = threading.Event()
        self._skew = timedelta()
        self._lock = threading.Lock()  # of what is carried over, until there is a watch
        self._carried: list[Sample] = []

    def watch(self) -> WatchResult:
        """Watch to the end. Raises ObserverError where the revision never serves or the watch cannot be resumed."""
        context, monitor = self._context, self._context.monitor
        self._set_clock()
        revision, created = self._serving()
        earlier = _earlier(context.resume, revision) if context.resume else []
        # Both may take their time, where Cloud Monitoring is down: the watch begins after that.
        baseline, pace = self._baseline(created), pace_of(context.monitoring)
        start = earlier[0].at if earlier else self._clock()
        plan = WatchPlan(revision, start, monitor.seconds(context.profiles), monitor.at_most(context.profiles), monitor)
        sources = SourceFactory(context, revision, created, start, pace)
        traffic = sources.traffic() if revision else []
        preferred = self._preferred_stream(baseline)
        traffic.sort(key=lambda source: source.stream != preferred)
        grids = {source.stream: BlockGrid(source.block, plan.at_most) for source in traffic}
        criteria = configured_criteria(context.settings, monitor, baseline, grids)
        watch = Watch(
            plan,
            criteria,
            traffic,
            sources.others(),
            SampleFile(context.logs / SAMPLES),
            self._clock,
            context.on_certain,
        )
        watch.begin()
        watch.replay(earlier[1:])
        with self._lock:
            watch.add_samples(self._carried)
            self._watch = watch
        if self._stopped.is_set():
            watch.stop()
        return WatchResult(watch.run(), "there is nothing to watch it with (which revision serves is not known)")

    def ask_again(self, criterion: str, service: Service) -> Answers | None:
        """How `service` answers what `criterion` asks of its own: see `questions_again`."""
        return ask_again(self._context, criterion, service)

    def carry_over(self, criterion: str, answers: Answers) -> None:
        """Have the watch count what the smoke `criterion` was answered to the same question."""
        stream = _STREAMS.get(criterion)
        if stream is None:
            return
        # A moment apart, and the bad ones never in a row: in which order they came is not known.
        at, step = self._clock(), answers.total / max(answers.bad, 1)
        bad = {int((number + 0.5) * step) for number in range(answers.bad)}
        samples = [
            Sample(stream, at + timedelta(microseconds=number), float(number not in bad), text=f"smoke: {answers.text}")
            for number in range(answers.total)
        ]
        with self._lock:
            if self._watch is None:
                self._carried += samples
            else:
                self._watch.add_samples(samples)

    def snapshot(self) -> WatchSnapshot | None:
        """The watch as it stands, for whoever looks on; None while there is none."""
        return self._watch.snapshot() if self._watch else None

    def stop(self) -> None:
        """End it: nobody waits for it any more."""
        self._stopped.set()
        if self._watch is not None:
            self._watch.stop()

    def _clock(self) -> datetime:
        """The time as Google's systems have it: theirs is what logs and metrics carry."""
        return self._context.clock() + self._skew

    def _set_clock(self) -> None:
        health = self._context.settings.health.basic
        if health is None:
            return
        self._skew = self._context.service.get(health.path, retry_503=False).clock_skew
        if seconds := round(self._skew.total_seconds()):
            late = "behind" if seconds > 0 else "ahead of"
            words = f"this machine's clock is {abs(seconds)} s {late} the service's: the watch goes by theirs"
            self._context.notices.append(words)

    def _serving(self) -> tuple[str, datetime]:
        """The revision under watch and when it was created, once it serves everything; as far as Cloud Run tells.

        Raises ObserverError when it does not within `first_request_within`.
        """
        cloud_run, named = self._context.cloud_run, self._context.revision
        if cloud_run is None:
            return named, self._clock()
        problem = ""

        def settled() -> tuple[str, datetime] | None:
            nonlocal problem
            try:
                state = cloud_run.service()
                wanted = named or state.latest_created
                if state.sole_revision == wanted and not state.moving:
                    return wanted, cloud_run.revision(wanted).created
                problem = f"{wanted} does not get all requests: {state.traffic_text}"
            except ObserverError as silence:
                if not problem:  # an outage of Cloud Run's API is none of the service: its other questions are asked
                    return named, self._clock()
                problem = silence.cause
            return None

        serving = poll(
            settled, Deadline.after(self._context.monitor.first_request_within), _PAUSE, pause=self._stopped.wait
        )
        if serving is None:
            raise ObserverError(
                f"there is nothing to watch: {problem}", "Send the traffic to the new revision, then watch again."
            )
        return serving

    def _baseline(self, created: datetime) -> Baseline | None:
        """The half hour before the revision was created; where that cannot be read, what `pre` kept of it."""
        run, monitoring = self._context.settings.target.cloud_run, self._context.monitoring
        if run is None:
            return None
        with suppress(VerificationError):
            if monitoring is not None:
                until = min(created, latest_visible(monitoring, self._clock()))
                return with_history(monitoring, read_baseline(monitoring, run.service, until))
        return self._kept(run.service, created)

    def _kept(self, service: str, created: datetime) -> Baseline | None:
        try:
            found = stored(file_of(self._context.logs.parent, self._context.settings.environment))
        except ObserverError:
            return None
        return found if found and found.service == service and found.until <= created else None

    def _preferred_stream(self, baseline: Baseline | None) -> str:
        """The stream that is preferred: the log, unless there is too much traffic to read each request."""
        monitor = self._context.monitor
        if monitor.source in _BY_SETTING:
            return _BY_SETTING[monitor.source]
        return METRICS if baseline and baseline.rpm > monitor.logs_up_to_rpm else LOG


def _earlier(folder: Path, revision: str) -> list[Sample]:
    """What the watch of an earlier run saw, its beginning first. Raises ObserverError where it cannot be resumed."""
    samples = SampleFile(folder / SAMPLES).read()
    if not samples or samples[0].stream != BEGUN:
        raise ObserverError(
            f"{folder} has no watch that could be resumed", "Name the folder of a run with samples.csv."
        )
    if samples[0].key != revision:
        raise ObserverError(
            f"{folder} watched {samples[0].key}, and {revision} is to be watched now", "Watch anew, without --resume."
        )
    return samples


def newest_watch(output: Path, environment: str) -> Path | None:
    """The newest run's folder below `output` that watched `environment`, if there is one."""
    found = [file.parent for file in output.glob(f"*-{environment}-*/{SAMPLES}") if not file.parent.is_symlink()]
    return max(found, key=lambda folder: folder.name, default=None)
