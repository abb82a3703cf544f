"""A matrix of cases, played in sandboxes side by side: what each whole run left behind, and how many did harm."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Protocol, TypeVar

from benchmarks.programs import sandbox
from verification.deadline import Stopwatch
from verification.local_sandbox.sandbox import Sandbox

USERS = ("--users-rpm", "600")  # a sandbox with as many users as a case needs that is about them
FEW_USERS = ("--users-rpm", "240")  # and as many as show within seconds whom they are answered by
# How fast a machine answers that plays many cases at once is not what is asked.
_PATIENT = ("p95", "mongodb", "openai", "elevenlabs", "pinecone")
_Case_contra = TypeVar("_Case_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What a case's run left behind: which harms it did, how it ended, and all that it `said`."""

    case: object  # printed, so that it can be played again
    harms: tuple[str, ...]
    ending: str
    said: str


class Arena(Protocol[_Case_contra]):
    """A sandbox that plays case after case."""

    def play(self, case: _Case_contra, /) -> CaseResult:
        """Play one case, and look at what is left. Raises BenchmarkError for a run that does not end."""
        ...


def play_side_by_side(
    cases: Sequence[_Case_contra], lanes: int, arena: Callable[[Sandbox, Path], Arena[_Case_contra]], *options: str
) -> Iterator[CaseResult]:
    """Play all cases in `lanes` sandboxes with `options`, each with a folder of its own; as they end.

    Raises BenchmarkError.
    """
    idle: Queue[Arena[_Case_contra]] = Queue()

    def play(case: _Case_contra) -> CaseResult:
        free = idle.get()
        try:
            return free.play(case)
        finally:
            idle.put(free)

    with ExitStack() as stack:
        for _ in range(lanes):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            idle.put(arena(stack.enter_context(sandbox(*options)), Path(folder)))
        pool = stack.enter_context(ThreadPoolExecutor(lanes))
        stack.callback(pool.shutdown, cancel_futures=True)  # where one of them raises
        for played in as_completed([pool.submit(play, case) for case in cases]):
            yield played.result()


def harms_done(names: Sequence[str], happened: Sequence[bool]) -> tuple[str, ...]:
    """Those of `names` that happened."""
    return tuple(name for name, is_true in zip(names, happened, strict=True) if is_true)


def patient(deployment: str) -> str:
    """The text of a `deployment.toml` with limits on latency that no machine under load exceeds."""
    for name in _PATIENT:
        deployment = deployment.replace(f'{name}_latency = "', f'{name}_latency = "1m ')
    return deployment


def tell(results: Iterable[CaseResult], names: Sequence[str], seed: int, *, all_said: bool) -> int:
    """Print each result as it comes, then how many runs did which harm; exit code 0 for none, else 1.

    What a run said is printed where it did harm, and where `all_said`.
    """
    harms: Counter[str] = Counter()
    endings: Counter[str] = Counter()
    watch = Stopwatch.start()
    for result in results:
        harms.update(result.harms)
        endings[result.ending] += 1
        print(f"{result.case}: {result.ending} {'; '.join(result.harms).upper()}", flush=True)
        if result.harms or all_said:
            print(result.said, flush=True)
    print(f"\n{endings.total()} runs, seed {seed}, {watch.seconds:.0f} s")
    for name in names:
        print(f"{harms[name]:5}  {name}")
    for ending, count in endings.most_common():
        print(f"{count:5}  {ending}")
    return int(bool(harms))
