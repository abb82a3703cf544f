"""Who may import whom: the house's order, held against every import statement in it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OWN = ("verification", "smoke", "rollback", "reports", "sandbox", "conftest", "benchmarks", "tests")

# From the bottom up: a package or module imports from its own row and from those below it.
LAYERS = (
    ("errors", "redaction", "series", "deadline", "resource", "logger_iteration", "misread_paths", "output"),
    ("settings",),
    ("verdict", "operator_commands"),
    ("source_tree", "clients"),
    ("records", "checks"),
    ("migrations", "judge", "probe", "local_sandbox"),
    ("watch",),
    ("run",),
    ("criteria",),
    ("probes", "pre", "deploy", "monitor", "followup"),
    ("plugin",),
)
# What a package's own import graph may come to: see `Rooms`.
FIGURES = [
    ("rollback", 7, 40),
    ("sandbox", 8, 45),
    ("verification", 10, 99),
]
LARGEST_FOLDER = 20  # modules
ABOVE = ("rollback", "reports")  # above all of verification, and conftest above these
HTTP = ("httpx", "httpcore", "anyio")
SDKS = (
    "google",
    "grpc",
    "pymongo",
    "bson",
    "sentry_sdk",
    "requests",
    "stamina",
    "secantus",
    "starlette",
    "uvicorn",
    "numpy",
    "scipy",
)


@dataclass(frozen=True)
class Import:
    """One import statement's module, as `importer` has it."""

    importer: str
    imported: str

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported}"


@cache
def modules() -> dict[str, Path]:
    """Every module of the house by its dotted name."""
    files = [ROOT / "conftest.py", *(file for name in OWN for file in (ROOT / name).rglob("*.py"))]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports(name: str, file: Path) -> Iterator[Import]:
    """What a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import, which this test does not follow"
            assert node.module is not None
            known = modules()
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(name, inner if inner in known else node.module)


@cache
def all_imports() -> tuple[Import, ...]:
    """All imports from one of our modules to another."""
    found = (one for name, file in modules().items() for one in imports(name, file))
    return tuple(one for one in found if within(one.imported, *OWN))


def within(name: str, *packages: str) -> bool:
    """Whether a module is one of `packages`, or inside one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def is_criterion(name: str) -> bool:
    """Whether a module holds criteria."""
    return name.rpartition(".")[2].startswith("test_") and within(name, "smoke", "verification")


def layer(name: str) -> int | None:
    """The layer that a module belongs to, if it is part of the suite itself."""
    if name == "conftest":
        return len(LAYERS) + 1
    if within(name, *ABOVE):
        return len(LAYERS)
    package, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    return next((number for number, names in enumerate(LAYERS) if package == "verification" and room in names), None)


class Rooms:
    """The import graph of a package: its rooms (what stands directly in it), and the arrows from one to another."""

    def __init__(self, package: str) -> None:
        self.modules: dict[str, set[str]] = {name: set() for name in modules() if within(name, package)}
        self.rooms: dict[str, set[str]] = {self.room(name): set() for name in self.modules if name != package}
        for found in all_imports():
            if found.importer in self.modules and found.imported in self.modules and found.importer != found.imported:
                self.modules[found.importer].add(found.imported)
                importer, imported = self.room(found.importer), self.room(found.imported)
                if importer and imported and importer != imported:
                    self.rooms[importer].add(imported)

    @staticmethod
    def room(name: str) -> str:
        """The room that a module is in; empty for the package's own `__init__`."""
        return name.split(".")[1] if "." in name else ""

    def arrows(self) -> int:
        """How many pairs of rooms there are of which one imports the other."""
        return sum(map(len, self.rooms.values()))

    def levels(self) -> int:
        """The length of the longest chain of rooms. Raises CycleError, which names the circle."""
        level: dict[str, int] = {}
        for room in TopologicalSorter(self.rooms).static_order():
            level[room] = 1 + max((level[below] for below in self.rooms[room]), default=0)
        return max(level.values())


@pytest.mark.parametrize(("package", "levels", "arrows"), FIGURES)
def test_a_package_is_as_simple_as_was_agreed(package: str, levels: int, arrows: int) -> None:
    rooms = Rooms(package)
    assert rooms.levels() <= levels
    assert rooms.arrows() <= arrows
    TopologicalSorter(rooms.modules).prepare()  # raises CycleError for modules that import each other
    folders = Counter(file.parent for name, file in modules().items() if name in rooms.modules)
    assert {folder.name: size for folder, size in folders.items() if size > LARGEST_FOLDER + 1} == {}, "and __init__"


def test_the_house_is_read_at_all() -> None:
    found = {str(one) for one in all_imports()}
    assert "conftest imports verification.criteria.stages" in found
    assert "verification.run.resources imports verification.clients.service.client" in found, (
        "those inside functions count too"
    )
    assert "sandbox.world imports sandbox.backend.database" in found


def test_every_module_of_the_suite_has_its_layer() -> None:
    packages = {"verification", "smoke"}
    suite = [name for name in modules() if within(name, *OWN[:4]) and name not in packages and not is_criterion(name)]
    assert [name for name in suite if layer(name) is None] == []


def test_nobody_imports_from_a_layer_above_their_own() -> None:
    upward = [
        str(one)
        for one in all_imports()
        if (mine := layer(one.importer)) is not None and ((other := layer(one.imported)) is None or other > mine)
    ]
    assert upward == []


def test_of_rollback_only_the_supervisor_knows_reports_which_know_no_rollback() -> None:
    crossing = [
        str(one)
        for one in all_imports()
        if (within(one.importer, "reports") and within(one.imported, "rollback"))
        or (
            within(one.importer, "rollback")
            and not within(one.importer, "rollback.supervisor")
            and within(one.imported, "reports")
        )
    ]
    assert crossing == []


def test_a_criterion_asks_fixtures_and_imports_nothing_of_the_suite() -> None:
    assert any(is_criterion(name) for name in modules())
    assert [str(one) for one in all_imports() if is_criterion(one.importer)] == []


def test_nobody_imports_a_criterion() -> None:
    assert [str(one) for one in all_imports() if is_criterion(one.imported) or within(one.imported, "smoke")] == []


def test_the_sandbox_and_the_suite_meet_on_the_wire_alone() -> None:
    """What both sides read the same way because they share the code, neither would notice to be wrong."""
    shared = [
        str(one)
        for one in all_imports()
        if within(one.importer, "sandbox") != within(one.imported, "sandbox") and not within(one.importer, "tests")
    ]
    assert shared == []


def test_the_suite_imports_no_test_and_no_benchmark() -> None:
    backwards = [
        str(one) for one in all_imports() if within(one.imported, "tests") and not within(one.importer, "tests")
    ] + [
        str(one)
        for one in all_imports()
        if within(one.imported, "benchmarks", "conftest") and within(one.importer, *OWN[:5])
    ]
    assert backwards == []


@pytest.mark.parametrize(
    ("imported", "spared"),
    [
        ("conftest", (*SDKS, *HTTP)),
        *((f"verification.probes.{name}", (*SDKS, *HTTP)) for name in ("health", "flows", "revision", "watch")),
        ("reports.plugin, rollback.controller", (*SDKS, "jinja2")),
        ("verification.judge.proportion, verification.judge.rate", (*SDKS, *HTTP)),
    ],
)
def test_a_usage_error_does_not_wait_for_heavy_libraries(imported: str, spared: tuple[str, ...]) -> None:
    """They are imported where they are first used: `--collect-only` and a mistyped option answer at once."""
    script = f"import sys, {imported}; print(*sorted(name for name in {spared!r} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == ""


def test_collecting_the_criteria_does_not_wait_for_heavy_libraries() -> None:
    """A module that pytest takes for a file of criteria is imported in every run, with all that it imports."""
    script = f"""import sys, pytest
class Loaded:
    def pytest_unconfigure(self):
        print("loaded:", *sorted(name for name in {SDKS!r} if name in sys.modules), file=sys.__stderr__)
pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "-m", "smoke", "--env", "sandbox"], plugins=[Loaded()])"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.strip() == "loaded:", done.stdout
