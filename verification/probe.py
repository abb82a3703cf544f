"""Probes: questions that start together, before anyone asks for their answers.

A probe is declared like a fixture, and asked for like one:

    @probe
    def content_listing(service: Service, settings: Settings, login: Login) -> Listing: ...

Its parameters are other probes, or the run's resources (`settings`, `service`, `cloud_run`, ...). All probes that the
selected criteria need are started in threads of their own once collection has settled; a criterion waits for its own
alone. So a phase lasts as long as its slowest chain of probes, one hung probe costs one criterion, and a probe that
several criteria share runs once.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import pytest

from verification.deadline import Deadline, Stopwatch
from verification.errors import NotAsked, ObserverError, SettingsError
from verification.resource import ReplacedResources, Resources

P = ParamSpec("P")
T = TypeVar("T")

_SLICE = 0.25  # seconds: how often whoever looks on is called while the run waits

_declared: dict[str, Callable[..., object]] = {}
_asked_once: set[str] = set()
_ONCE = "Run it again: this question is never put twice in a run."


def probe(function: Callable[P, T]) -> Callable[P, T]:
    """Declare a probe, which stays a function: a fixture of its name is put beside it, where pytest finds it.

    Raises SettingsError for a name that is taken.
    """
    name = function.__name__
    taken = _declared.get(name)
    if taken is not None and taken.__module__ != function.__module__:
        raise SettingsError(
            f"two probes are named {name}: in {taken.__module__} and in {function.__module__}", "Rename one of them."
        )
    _declared[name] = function

    # The probe runs once for each role; its fixture only fetches the answer for the role that the criterion is about.
    @pytest.fixture(name=name)
    def answer(request: pytest.FixtureRequest, role: str) -> object:
        return request.config.stash[PROBES].result(of_role(name, role))

    function.__globals__[f"_fixture_{name}"] = answer
    return function


def asked_once(function: Callable[P, T]) -> Callable[P, T]:
    """Mark a probe whose question is never put a second time, such as a login with a wrong password."""
    _asked_once.add(function.__name__)
    return function


def may_be_asked_again(name: str) -> bool:
    """Whether `name` (which may carry a role) is a probe that asks the service, and may ask it more than once."""
    bare = _bare(name)
    return bare in _declared and bare not in _asked_once and "service" in _parameters(bare)


def rests_on(name: str, needed: str) -> bool:
    """Whether `name` (which may carry a role) is the probe `needed`, or needs it, be it through others."""
    bare = _bare(name)
    return bare == needed or (bare in _declared and any(rests_on(each, needed) for each in _parameters(bare)))


def of_role(name: str, role: str) -> str:
    """The name under which a probe is asked for `role`; without one, for what the run is about."""
    return f"{role}/{name}" if role else name


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the questions are: seconds since each one was put that still waits for its answer, longest first.

    A probe that waits for another has not put its question yet: it counts in `of`, as all do, and in nothing else.
    """

    open: Mapping[str, float]
    answered: int
    of: int


class Probes:
    """The probes of one run. `within` bounds the wait for any one of them, in seconds from its start.

    So of several that hang, or of several criteria that share one, none is waited for longer than the first. A name may
    carry a role (`of_role`): `roles` has the resources for those, `resources` for what carries none.
    """

    def __init__(self, resources: Resources, within: float, roles: Mapping[str, Resources] | None = None) -> None:
        self._resources = {"": resources, **(roles or {})}
        self._within = within
        self._futures: dict[str, Future[object]] = {}
        self._due: dict[str, Deadline] = {}
        self._began: dict[str, Stopwatch] = {}
        self._took: dict[str, float] = {}
        self._limit: Deadline | None = None  # of all waits together
        self._lock = threading.Lock()

    def start(self, names: Iterable[str]) -> None:
        """Start those of `names` that are probes, and all that they need; each once."""
        for name in names:
            if _bare(name) in _declared:
                self._future(name, ())

    def anew(self, names: Iterable[str], role: str, service: object, within: float) -> Probes:
        """Probes that ask `names` again, of `service`, when they are asked for; all other answers are these ones'.

        `within` bounds the wait for each of them, as for these.
        """
        again = Probes(self._resources[""], within, self._resources)
        replaced = {"service": service, "probes": again}
        again._resources[role] = ReplacedResources(self._resources[role], replaced)
        asked = set(names)
        with self._lock:
            again._futures = {name: future for name, future in self._futures.items() if name not in asked}
        again._due = dict.fromkeys(again._futures, Deadline.after(within))
        return again

    def adopt(self, again: Probes, names: Iterable[str]) -> None:
        """Take over the answers of `again` to `names`; what could not be asked for want of them is asked anew."""
        with self._lock:
            self._futures |= {name: again._futures[name] for name in names if name in again._futures}
            for name in [name for name, future in self._futures.items() if _was_not_asked(future)]:
                del self._futures[name]

    @property
    def asked(self) -> frozenset[str]:
        """The names of the probes that have been asked so far."""
        with self._lock:
            return frozenset(self._futures)

    def resource(self, name: str) -> object:
        """The run's resource `name`, for a probe that needs it in some cases only. Raises what its maker raises."""
        return self._resources[""].get(name)

    def ask_again(self) -> bool:
        """Ask the service anew what it has been asked: those answers may be another revision's.

        False, and nothing is asked, where it is being watched: a watch has begun, and goes on.
        """
        with self._lock:
            if any("watcher" in _parameters(name) for name in self._futures):
                return False
            outdated = {name: self._futures.pop(name) for name in self._of_the_service()}
            for name, future in outdated.items():
                if _bare(name) in _asked_once and not _was_not_asked(future):
                    self._futures[name] = spent = Future[object]()
                    spent.set_exception(ObserverError(f"{name} was asked of a service that was being changed", _ONCE))
        self.start(outdated)
        return True

    def forget(self) -> None:
        """Forget all answers: what was asked before a deployment is asked anew after it."""
        with self._lock:
            self._futures.clear()
            self._due.clear()
            self._began.clear()

    def result(self, name: str) -> object:
        """The answer of the probe. Raises what it raised, or ObserverError when there is none in time."""
        future = self._future(name, ())
        deadline = self._waited_for(name)
        wait([future], timeout=deadline.remaining)
        if future.done():
            return future.result()
        if deadline is self._limit:
            raise ObserverError(f"{name} was not waited for: a failure that calls for a rollback was already certain")
        raise ObserverError(f"{name} has no answer after {self._within:g} s")

    def known(self, name: str) -> object | None:
        """The answer of the probe, if it has been asked and has one already."""
        future = self._futures.get(name)
        return future.result() if future and future.done() and not future.exception() else None

    def limit_wait(self, grace: float) -> None:
        """Wait at most `grace` seconds more, all together: what matters now is to act."""
        limit = Deadline.after(grace)
        self._limit = min(self._limit, limit) if self._limit else limit

    def limited(self, within: float) -> Deadline:
        """In so many seconds, or sooner where `limit_wait` has said so."""
        deadline = Deadline.after(within)
        return min(self._limit, deadline) if self._limit else deadline

    @property
    def is_over(self) -> bool:
        """Whether nothing is waited for any more, as `limit_wait` has it."""
        return self._limit is not None and self._limit.is_over

    def when_answered(self, name: str, act: Callable[[], None]) -> None:
        """Call `act` once the probe, which has been asked, has its answer: at once where it has, else in its thread."""
        with self._lock:
            future = self._futures.get(name)
        if future is not None:
            future.add_done_callback(lambda _: act())

    def close(self, grace: float = 3.0) -> None:
        """Wait at most `grace` seconds, all together, for probes that still run: nobody asks for their answers.

        A thread that is inside a C++ library (the import of grpc) while the interpreter ends would abort the process,
        and the exit code would be lost.
        """
        wait(self._futures.values(), grace)

    def next_settled(self, candidates: list[tuple[str, ...]], idle: Callable[[], None] = lambda: None) -> int:
        """The index of the first candidate (a criterion's fixture names) whose probes are all settled; waits for one.

        So a failure is judged when it is known, not when its turn comes. `idle` is called every quarter of a second
        while it waits.
        """
        while True:
            for index, names in enumerate(candidates):
                if self.settled(names):
                    return index
            open_ = {name for names in candidates for name in self._open(names)}
            left = min((self._waited_for(name).remaining for name in open_), default=0.0)
            if not wait([self._futures[name] for name in open_], min(left, _SLICE), FIRST_COMPLETED).done:
                idle()

    def progress(self) -> Progress:
        """How far the questions are that have been asked so far."""
        with self._lock:
            answered = sum(future.done() for future in self._futures.values())
            seconds = {name: self._began[name].seconds for name in self._futures if name in self._began}
            open_ = sorted(self._open(seconds), key=lambda name: seconds[name], reverse=True)
            return Progress({name: seconds[name] for name in open_}, answered, len(self._futures))

    def settled(self, names: Iterable[str]) -> bool:
        """Whether all probes among `names` are done, or are no longer waited for."""
        return not self._open(names)

    def seconds(self, names: Iterable[str]) -> float:
        """How long the slowest probe among `names` took, without its wait for others."""
        return max((self._took.get(name, 0.0) for name in names), default=0.0)

    def _of_the_service(self) -> set[str]:
        """The probes that ask the service, and those that need their answers."""
        needs = {
            name: {one if one == "service" else of_role(one, name.rpartition("/")[0]) for one in _parameters(name)}
            for name in self._futures
        }
        found = {"service"}
        for _ in needs:  # no chain is longer
            found |= {name for name, wanted in needs.items() if wanted & found}
        return found - {"service"}

    def _open(self, names: Iterable[str]) -> list[str]:
        return [
            name
            for name in names
            if name in self._futures and not self._futures[name].done() and not self._waited_for(name).is_over
        ]

    def _waited_for(self, name: str) -> Deadline:
        return min(self._due[name], self._limit) if self._limit else self._due[name]

    def _future(self, name: str, asked_by: tuple[str, ...]) -> Future[object]:
        if name in asked_by:
            raise SettingsError(f"probes wait for each other: {' -> '.join((*asked_by, name))}", "Break the circle.")
        role = name.rpartition("/")[0]
        needed = {
            wanted: self._future(of_role(wanted, role), (*asked_by, name))
            for wanted in _parameters(name)
            if wanted in _declared
        }
        with self._lock:
            if name not in self._futures:
                future: Future[object] = Future()
                self._due[name] = Deadline.after(self._within)
                self._futures[name] = future
                # A daemon: a hung probe must not keep the run from ending.
                threading.Thread(
                    target=self._run, args=(name, needed, future), name=f"probe {name}", daemon=True
                ).start()
            return self._futures[name]

    def _run(self, name: str, needed: Mapping[str, Future[object]], future: Future[object]) -> None:
        try:
            resources = self._resources[name.rpartition("/")[0]]
            given = {
                wanted: needed[wanted].result() if wanted in needed else resources.get(wanted)
                for wanted in _parameters(name)
            }
            asked = self._began[name] = Stopwatch.start()
            try:
                answer = _declared[_bare(name)](**given)
            finally:
                self._took[name] = asked.seconds
            future.set_result(answer)
        except BaseException as error:  # whatever it is, it belongs to the criterion that asks
            future.set_exception(error)


def _was_not_asked(future: Future[object]) -> bool:
    return future.done() and isinstance(future.exception(), NotAsked)


def _bare(name: str) -> str:
    return name.rpartition("/")[2]


def _parameters(name: str) -> list[str]:
    return list(inspect.signature(_declared[_bare(name)]).parameters)


PROBES = pytest.StashKey[Probes]()
