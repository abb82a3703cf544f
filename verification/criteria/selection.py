"""Which criteria a run asks.

What is left out on the command line (`-k`, `--deselect`, a file named) is counted, so that a run which left something
out can say so.
"""

from __future__ import annotations

import ast
from collections.abc import Generator, Iterable
from itertools import product
from pathlib import Path

import pytest

from verification.criteria.criterion import (
    applies,
    asked_by,
    assign_roles,
    criterion_id,
    missing_section,
    not_collected,
    phase_of,
    refuse_without_phase,
    role_of,
)
from verification.errors import SettingsError
from verification.records.run_record import PHASES, POST_DEPLOY_PHASES
from verification.redaction import redact
from verification.run.run import Run


class Selection:
    """Chooses the criteria of a run, and counts those that it leaves out."""

    def __init__(self, run: Run, homes: list[Path]) -> None:
        self._run = run
        self._homes = homes
        self._brought: list[pytest.Item] = []  # everything that collection brought
        self._collected: list[pytest.Item] = []  # all configured criteria, before -m and -k
        self._lacking: dict[pytest.Item, str] = {}  # the others, and the section that is missing
        self._chosen = False

    def pytest_report_header(self) -> list[str]:
        """The target, and where each part of it came from."""
        return [redact(line) for line in self._run.header()]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Where the environment plays both roles, ask each smoke criterion of staging too: as one of `pre`."""
        both = len(self._run.settings.roles) > 1 and asks_for(metafunc.config, "pre")
        if both and metafunc.definition.get_closest_marker("smoke") and "role" in metafunc.fixturenames:
            staging = pytest.param("staging", id="staging", marks=[pytest.mark.pre, pytest.mark.role("staging")])
            metafunc.parametrize("role", [pytest.param("", id=pytest.HIDDEN_PARAM), staging])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
        """Bring the criteria into the order of their phases; take out those whose system is not configured."""
        self._choose(config, items)
        yield
        self._chosen = True  # else -m or -k was refused

    def _choose(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        try:
            refuse_without_phase(items, self._homes)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from None
        settings = self._run.settings
        assign_roles(items, settings.main_role)
        if settings.main_role == "staging" and asks_for(config, "pre"):
            for item in items:
                if item.get_closest_marker("smoke"):
                    item.add_marker("pre")
        self._brought = list(items)
        roles, profiles = {"", *settings.roles}, self._run.record.profiles
        items[:] = [item for item in items if role_of(item) in roles and applies(item, profiles)]
        self._lacking = {item: section for item in items if (section := missing_section(item, self._run.settings))}
        items[:] = sorted((item for item in items if item not in self._lacking), key=lambda item: _rank(phase_of(item)))
        self._collected = [item for item in items if phase_of(item)]
        kept = set(items)
        config.hook.pytest_deselected(items=[item for item in self._brought if item not in kept])

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count what is asked, and what is not. Raises pytest.UsageError for what cannot be asked for."""
        config = session.config
        phases = {phase_of(item) for item in session.items} - {""}
        if only_lists(config) or not phases or not self._chosen:
            return
        # A phase that was asked for counts, even if nothing of it is left.
        phases |= set(phases_named(config)) & {phase_of(item) for item in self._collected}
        if phases & POST_DEPLOY_PHASES:
            _refuse_partial_runs(config)
            if "pre" in phases and not self._run.settings.sandbox:
                raise pytest.UsageError(
                    "the deployment lies between pre and the other phases: name one, such as -m pre or -m smoke"
                )
        self._refuse_unknown_lines()
        left_out = not_collected(self._brought, self._homes, self._run.settings)
        record = self._run.record
        record.phases = tuple(sorted(phases, key=_rank))
        record.criteria_selected = sum(bool(phase_of(item)) for item in session.items)
        record.criteria_in_phase = sum(phase_of(item) in phases for item in self._collected)
        record.criteria_in_phase += sum(bool(criterion.phases & phases) for criterion in left_out)
        record.criteria_by_phase = {
            phase: sum(phase_of(item) == phase for item in self._collected)
            + sum(phase in criterion.phases for criterion in left_out)
            for phase in phases
        }
        lacking = {criterion_id(item): section for item, section in self._lacking.items() if phase_of(item) in phases}
        record.not_configured = lacking
        record.not_asked = self._not_asked(session.items, phases)

    def _not_asked(self, asked: Iterable[pytest.Item], phases: set[str]) -> dict[str, str]:
        """The criteria of the phases that do not apply here, or that were left out on the command line; and why."""
        chosen, applicable = set(asked), {*self._collected, *self._lacking}
        roles, profiles = {"", *self._run.settings.roles}, self._run.record.profiles
        reasons = {}
        for item in self._brought:
            if phase_of(item) not in phases or item in chosen or item in self._lacking:
                continue
            if item in applicable:
                reasons[criterion_id(item)] = "left out on the command line"
            elif role_of(item) not in roles:
                reasons[criterion_id(item)] = f"{self._run.settings.environment} does not play {role_of(item)}"
            else:
                listed = ", ".join(profiles) or "standard"
                reasons[criterion_id(item)] = f"does not apply to the profile {listed}"
        return reasons

    def _refuse_unknown_lines(self) -> None:
        """Only what a person answers for can be signed off: the criteria that ask for a signature."""
        lines = sorted({criterion_id(item) for item in self._collected if "sign_off" in asked_by(item)})
        for line in self._run.sign_offs:
            if line not in lines:
                raise pytest.UsageError(
                    f"--sign-off: no person answers for {line}; the lines to be signed off are: {', '.join(lines)}"
                )


def refuse_options(config: pytest.Config) -> None:
    """Raise pytest.UsageError for options with which no phase can be verified or reported."""
    # xdist acts in several processes at once: each would ask everything, and roll back.
    if config.getoption("numprocesses", None) or config.getoption("tx", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError("a verification runs in one process: take out -n (xdist)")
    for plugin, dest in (("html", "htmlpath"), ("junitxml", "xmlpath")):
        if not hasattr(config.option, dest):
            raise pytest.UsageError(f"the run's report is made with pytest's plugin {plugin}: take out -p no:{plugin}")


def only_lists(config: pytest.Config) -> bool:
    """Whether the options ask what there is, instead of asking the criteria."""
    option = config.option
    return bool(option.collectonly or option.showfixtures or option.show_fixtures_per_test)


def asks_for(config: pytest.Config, phase: str) -> bool:
    """Whether `-m` asks for `phase`, or for no phase in particular."""
    named = phases_named(config)
    return not named or phase in named


def _rank(phase: str) -> int:
    return PHASES.index(phase) if phase else -1


def phases_named(config: pytest.Config) -> tuple[str, ...]:
    """The phases whose criteria `-m` lets through, whatever other markers they have; none without `-m`."""
    try:
        tree = ast.parse(config.option.markexpr or "", mode="eval").body
    except SyntaxError:
        return ()  # nothing was asked for, or pytest says what is wrong with it
    return tuple(phase for phase in PHASES if True in _possible(tree, phase))


def _possible(node: ast.expr, phase: str) -> set[bool]:
    """What a mark expression can come to for criteria of `phase`: other markers may be there, or not."""
    match node:
        case ast.Name(name) if name in PHASES:
            return {name == phase}
        case ast.UnaryOp(ast.Not(), operand):
            return {not value for value in _possible(operand, phase)}
        case ast.BoolOp(operator, values):
            together = all if isinstance(operator, ast.And) else any
            return {together(chosen) for chosen in product(*(_possible(value, phase) for value in values))}
    return {True, False}


def _refuse_partial_runs(config: pytest.Config) -> None:
    # --lf can end with 0 although criteria were left out. A file that cannot be collected may hold criteria that
    # nobody can count.
    for option, dest in (("--lf", "lf"), ("--continue-on-collection-errors", "continue_on_collection_errors")):
        if config.getoption(dest, False):
            raise pytest.UsageError(f"post-deploy phases run whole: take out {option}")
