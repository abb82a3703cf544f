"""Id, title, phase, role and needs of a criterion, of those that a run did not collect too."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from verification.errors import SettingsError
from verification.probe import of_role
from verification.records.run_record import PHASES, POST_DEPLOY_PHASES
from verification.settings.model import Settings

_ROLE = pytest.StashKey[str]()


def criterion_id(item: pytest.Item) -> str:
    """The criterion's id: the test's name without `test_`."""
    return item.name.removeprefix("test_")


def assign_roles(items: Iterable[pytest.Item], main: str) -> None:
    """Note for each item the role that it is about: that of its marker `role`, else the run's main one."""
    for item in items:
        marker = item.get_closest_marker("role")
        role = str(marker.args[0]) if marker else main
        item.stash[_ROLE] = "" if role == main else role


def role_of(item: pytest.Item) -> str:
    """The role that the criterion is about; empty for the run's main one."""
    return item.stash.get(_ROLE, "")


def asked_by(item: pytest.Item) -> tuple[str, ...]:
    """The names of all fixtures that the criterion asks for, as probes are asked for in its role."""
    role = role_of(item)
    return tuple(of_role(name, role) for name in getattr(item, "fixturenames", ()))


def title_of(item: pytest.Item) -> str:
    """The checklist line that the criterion answers: its docstring's first line."""
    doc = getattr(getattr(item, "function", None), "__doc__", None) or ""
    return doc.strip().partition("\n")[0] or criterion_id(item).replace("_", " ")


@dataclass(frozen=True, slots=True)
class DeclaredCriterion:
    """A criterion as its file declares it."""

    file: Path
    name: str
    phases: frozenset[str]
    needs: frozenset[str]


def phase_of(item: pytest.Item) -> str:
    """The phase that the criterion carries as its marker; empty for a test that is none."""
    return next((phase for phase in PHASES if item.get_closest_marker(phase)), "")


def is_mendable(item: pytest.Item) -> bool:
    """Whether its failure calls for a rollback, unless what failed says otherwise."""
    return phase_of(item) in POST_DEPLOY_PHASES and item.get_closest_marker("unmendable") is None


def applies(item: pytest.Item, profiles: Iterable[str]) -> bool:
    """Whether the criterion is one of a deployment with these profiles.

    A hotfix does without a soak (`waived`); only a migration needs a backup (`profile`).
    """
    given = set(profiles)
    waived = any(set(marker.args) & given for marker in item.iter_markers("waived"))
    return not waived and all(set(marker.args) & given for marker in item.iter_markers("profile"))


def missing_section(item: pytest.Item, settings: Settings) -> str:
    """The section of deployment.toml that the criterion needs and that is not there, if any."""
    needed = (str(name) for marker in item.iter_markers("needs") for name in marker.args)
    return next((name for name in needed if not settings.configured(name)), "")


def refuse_without_phase(items: Iterable[pytest.Item], folders: Iterable[Path]) -> None:
    """Raise SettingsError for a test below the criteria's folders that carries no phase: it would never run."""
    homes = [folder.resolve() for folder in folders]
    for item in items:
        if not phase_of(item) and any(home in item.path.resolve().parents for home in homes):
            raise SettingsError(
                f"{item.nodeid} carries no phase, so no `-m` would ever run it",
                f"Mark it, for example with `pytestmark = pytest.mark.smoke`. The phases are: {', '.join(PHASES)}.",
            )


def not_collected(
    collected: Iterable[pytest.Item], folders: Iterable[Path], settings: Settings
) -> list[DeclaredCriterion]:
    """The configured criteria in `folders` that collection did not bring, because the command line names others."""
    brought = {(item.path.resolve(), getattr(item, "originalname", item.name)) for item in collected}
    return [
        criterion
        for criterion in declared(folders)
        if (criterion.file, criterion.name) not in brought
        and all(settings.configured(need) for need in criterion.needs)
    ]


def declared(folders: Iterable[Path]) -> Iterator[DeclaredCriterion]:
    """Every criterion that the files in `folders` declare, read without importing them."""
    for folder in folders:
        for file in sorted(folder.resolve().rglob("test_*.py")):
            try:
                tree = ast.parse(file.read_text(encoding="utf-8"))
            except (OSError, SyntaxError, UnicodeDecodeError):
                continue  # pytest says what is wrong with it when it collects the file
            yield from _declared_in(tree, file)


def _declared_in(tree: ast.Module, file: Path) -> Iterator[DeclaredCriterion]:
    shared: list[ast.expr] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
        ):
            shared += node.value.elts if isinstance(node.value, (ast.List, ast.Tuple)) else [node.value]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = list(_marks([*shared, *node.decorator_list]))
            phases = frozenset(name for name, _ in marks if name in PHASES)
            if phases:
                needs = frozenset(argument for name, arguments in marks if name == "needs" for argument in arguments)
                yield DeclaredCriterion(file, node.name, phases, needs)


def _marks(expressions: Iterable[ast.expr]) -> Iterator[tuple[str, list[str]]]:
    """`pytest.mark.NAME` and `pytest.mark.NAME("argument")` as name and text arguments."""
    for expression in expressions:
        call = expression if isinstance(expression, ast.Call) else None
        target = call.func if call else expression
        if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "pytest.mark":
            texts = [argument.value for argument in (call.args if call else []) if isinstance(argument, ast.Constant)]
            yield target.attr, [text for text in texts if isinstance(text, str)]
