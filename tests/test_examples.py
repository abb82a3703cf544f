"""What is there to be copied (workflow, Cloud Deploy, README, docs/): it is well-formed, and what it names exists.

The criteria among the snippets are run by tests/runs/test_documented_criteria.py.
"""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

import reports.__main__ as reports_program
import rollback.__main__ as rollback_program
import sandbox.__main__ as sandbox_program
from rollback.policy.decide import GUARDS
from sandbox.faults import CATALOGUE
from tests.conftest import ROOT
from tests.snippets import DOCUMENTS, Snippet, commands_in_sentences, snippets
from verification.records.journal import JournalEvent
from verification.records.run_record import PHASES
from verification.settings.loading import environments, load

WORKFLOW = ROOT / ".github" / "workflows" / "deploy-verified.yml"
CLOUD_DEPLOY = ROOT / "docs" / "cloud-deploy"
FOLDERS = (
    *(".ci", ".github", "benchmarks", "docs", "reports"),
    *("rollback", "sandbox", "smoke", "tests", "verification"),
)


def workflow() -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return found


def steps() -> Iterator[dict[str, Any]]:
    for job in workflow()["jobs"].values():
        yield from job["steps"]


def commands() -> list[list[str]]:
    """Every command line of this suite's in the examples."""
    lines = [line for step in steps() for line in step.get("run", "").splitlines()]
    ours = [shlex.split(line) for line in lines if re.match(r"\.venv/bin/(pytest|python -m)", line)]
    skaffold = yaml.safe_load((CLOUD_DEPLOY / "skaffold.yaml").read_text(encoding="utf-8"))
    ours += [[*one["container"]["command"], *one["container"]["args"]] for one in skaffold["verify"]]
    return [[words[0].rpartition("/")[2], *words[1:]] for words in ours]


def test_the_commands_are_found_at_all() -> None:
    assert [words[0] for words in commands()] == ["pytest", "pytest", "pytest", "python", "pytest"]


def in_snippets() -> list[list[str]]:
    """Each of them once."""
    shown = {tuple(words) for snippet in snippets("sh") for words in snippet.commands()}
    return [list(words) for words in sorted(shown) if words[0] in {"pytest", "python"}]


@pytest.mark.parametrize("words", [*commands(), *in_snippets()], ids=" ".join)
def test_every_command_is_understood_by_its_program(words: list[str], pytestconfig: pytest.Config) -> None:
    known = environments(ROOT / "deployment.toml")
    if words[0] == "python":
        options = _parsed(words[2], words[3:])
        assert getattr(options, "environment", None) in {None, *known}
        return
    assert {"--deployment", "--output", "--resume"} & {*words} <= {"--resume"}, "with a space, a path may be misread"
    options, unknown = pytestconfig._parser.parse_known_and_unknown_args(words[1:])  # noqa: SLF001
    assert unknown == []
    assert options.env in known
    assert set(re.findall(r"\w+", options.markexpr)) - {"or"} <= set(PHASES)


def _parsed(program: str, arguments: list[str]) -> argparse.Namespace:
    if program == "rollback":
        return rollback_program._parser().parse_intermixed_args(arguments)  # noqa: SLF001
    parser = reports_program._parser() if program == "reports" else sandbox_program._parser()  # noqa: SLF001
    return parser.parse_args(arguments)


@pytest.mark.parametrize("words", commands_in_sentences(), ids=" ".join)
def test_every_command_in_a_sentence_exists(words: list[str], pytestconfig: pytest.Config) -> None:
    if words[0] == "python":
        assert find_spec(words[2])
    else:
        assert pytestconfig._parser.parse_known_and_unknown_args(words[1:])[1] == []  # noqa: SLF001


def test_the_snippets_are_found_and_say_what_they_are() -> None:
    assert {snippet.language for snippet in snippets()} == {"python", "toml", "sh", "text", "mermaid"}
    indented = [file.name for file in DOCUMENTS if re.search(r"^\n {4}\S", file.read_text("utf-8"), re.MULTILINE)]
    assert indented == [], "a block without a language is one that no test looks at"


def test_every_file_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w/]+\.py\b", text))
    files = [f"/{file.relative_to(ROOT).as_posix()}" for file in ROOT.rglob("*.py")]
    assert len(named) > 20
    assert [name for name in named if not any(file.endswith(f"/{name.lstrip('./')}") for file in files)] == []


def words_of_code(document: Path) -> Iterator[str]:
    """The single words in backticks, and those in the boxes of a diagram."""
    text = document.read_text(encoding="utf-8")
    yield from re.findall(r"`([^`\s]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    for diagram in snippets("mermaid"):
        if diagram.document == document:
            yield from re.split(r"<br/>|[\s\"\[\],]+", diagram.text)


def paths_named(document: Path) -> set[str]:
    """What looks like a path in the repository: below one of its folders, or a bare name of a kind that only it has."""
    found = {word for word in words_of_code(document) if re.fullmatch(r"[\w./*-]+", word)}
    return {
        word
        for word in found
        if (word.split("/")[0] in FOLDERS and "/" in word and not word.startswith("reports/output"))
        or (word.endswith((".py", ".j2", ".toml")))
    }


@cache
def paths_there() -> tuple[str, ...]:
    """Every file, and every folder with a slash at its end."""
    found = [*ROOT.iterdir(), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))]
    shown = ((file, file.relative_to(ROOT).as_posix()) for file in found)
    made = re.compile(r"__pycache__|^reports/output/")
    return tuple(f"/{name}/" if file.is_dir() else f"/{name}" for file, name in shown if not made.search(name))


def is_there(word: str) -> bool:
    """Whether the repository has it, NAME and * standing for any; a bare name, in whatever folder."""
    pattern = word.replace("NAME", "*")
    pattern = f"/{pattern}" if word.split("/", maxsplit=1)[0] in FOLDERS else f"*/{pattern}"
    return any(fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/") for path in paths_there())


def test_paths_are_told_from_other_words() -> None:
    named = set[str]().union(*map(paths_named, DOCUMENTS))
    assert {".ci/run", "smoke/", "reports/templates/*.j2", "gauges.py", "verification/monitor/"} <= named
    assert {"rollback/previous_revision/", "sandbox/vendors.py", "verification/clients/NAME.py"} <= named
    assert not named & {"/health", "Call.id", "0.01", "report.html", "reports/output/latest"}
    assert not is_there("verification/smoke/")
    assert not is_there("rollback/policy/engine.py")
    assert not is_there("engine.py")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_path_that_a_document_names_is_there(document: Path) -> None:
    assert sorted(word for word in paths_named(document) if not is_there(word)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    ours = [link for link in links if "://" not in link]
    assert [link for link in ours if not (document.parent / link).exists()] == []


def rows_of(document: str, heading: str) -> list[str]:
    """The first cells, code alone, of the table below the head that begins with `heading`."""
    text = (ROOT / document).read_text(encoding="utf-8")
    table = text.partition(f"| {heading} |")[2].partition("\n\n")[0]
    cells = (re.match(r"\| ([^|]+) \|", line) for line in table.splitlines())
    return [code for cell in cells if cell for code in re.findall(r"`([^`]+)`", cell[1])]


@cache
def calls() -> tuple[tuple[Path, ast.Call, dict[str, str]], ...]:
    """Every call in the suite that rolls back, with its module's own constants."""
    found = []
    for file in [*(ROOT / "rollback").rglob("*.py"), ROOT / "verification" / "records" / "journal.py"]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        constants = {name: value for node in tree.body if isinstance(node, ast.Assign) for name, value in named(node)}
        found += [(file, node, constants) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return tuple(found)


def named(node: ast.Assign) -> Iterator[tuple[str, str]]:
    """The names that are given to texts: `_SENT = "sent"`, or several at once."""
    for target in node.targets:
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        for name, value in zip(names, values, strict=False):
            if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield name.id, value.value


def events_written() -> Iterator[str]:
    """What the code writes into a journal. Fails for an event that cannot be told from the source."""
    for file, call, constants in calls():
        if not (isinstance(call.func, ast.Attribute) and call.func.attr == "write"):
            continue
        journal = re.search(r"\b_?journal$", ast.unparse(call.func.value))
        if not journal and not (file.name == "journal.py" and ast.unparse(call.func.value) == "self"):
            continue
        event = ast.unparse(call.args[0])
        if event.startswith("JournalEvent."):
            yield JournalEvent[event.partition(".")[2]]
        else:
            yield constants[event] if event in constants else ast.literal_eval(event)


def test_the_journals_events_are_all_explained() -> None:
    written = {*events_written()}
    assert {"call-sent", "workflow-over", "seen", *JournalEvent} <= written, "else they are not found at all"
    assert {*rows_of("docs/journal.md", "event")} == written


def test_the_guards_are_all_explained_in_their_order() -> None:
    assert rows_of("docs/reading-the-report.md", "guard") == [guard.__name__ for guard in GUARDS]


def codes_besides() -> Iterator[str]:
    """The codes that are given to a result, or a refusal, without a guard."""
    for _, call, _ in calls():
        given = [keyword.value for keyword in call.keywords if keyword.arg == "guard"]
        given += call.args[2:] if ast.unparse(call.func) in {"RollbackWithheld", "RollbackFailed"} else []
        yield from (code.value for code in given if isinstance(code, ast.Constant) and isinstance(code.value, str))


def test_the_codes_besides_the_guards_are_all_explained() -> None:
    found = {*codes_besides()}
    assert {"cut_off", "serving_unknown", "traffic_split"} <= found
    # `resume` puts the reason of this one into a sentence, without its code.
    assert found - {"another_rollback"} <= {*rows_of("docs/reading-the-report.md", "code")}


def test_the_readme_has_every_fault_once() -> None:
    assert sorted(rows_of("README.md", "`--fault`")) == sorted(fault.name for fault in CATALOGUE)


@pytest.mark.parametrize("snippet", snippets("sh"), ids=str)
def test_a_shell_takes_every_line(snippet: Snippet) -> None:
    done = subprocess.run(["bash", "-n"], input=snippet.text, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [words[1] for words in snippet.commands() if words[0] == "make" and f"\n{words[1]}:" not in makefile] == []


@pytest.mark.parametrize("snippet", snippets("toml"), ids=str)
def test_settings_that_are_shown_are_valid(snippet: Snippet, tmp_path: Path) -> None:
    """Any table may stand below an environment: there it is laid over the shipped one."""
    file = tmp_path / "deployment.toml"
    below = re.sub(r"^(\[+)", r"\1environments.staging.", snippet.text, flags=re.MULTILINE)
    file.write_text((ROOT / "deployment.toml").read_text("utf-8") + "\n" + below, encoding="utf-8")
    load(file, "staging", {"GOOGLE_CLOUD_PROJECT": "any"})


def test_the_workflow_takes_what_the_rollback_sends() -> None:
    # YAML 1.1 reads `on` as true.
    assert set(workflow()[True]["workflow_dispatch"]["inputs"]) >= {"rollback_revision", "staging_verification"}


def test_whatever_happens_the_rest_is_done() -> None:
    always = [step["name"] for step in steps() if "always()" in str(step.get("if", ""))]
    assert len(always) == 3
    assert any("rollback resume" in step.get("run", "") and "always()" in step["if"] for step in steps())


def test_the_workflow_leaves_the_summary_to_the_runs_which_add_it_themselves() -> None:
    assert [step["run"] for step in steps() if "summary.md" in step.get("run", "")] == []


def test_inputs_from_outside_never_become_part_of_a_script() -> None:
    assert [step["run"] for step in steps() if "${{" in step.get("run", "")] == []


def test_cloud_deploy_verifies() -> None:
    pipeline, target = yaml.safe_load_all((CLOUD_DEPLOY / "clouddeploy.yaml").read_text(encoding="utf-8"))
    assert pipeline["serialPipeline"]["stages"][0]["strategy"]["standard"]["verify"] is True
    assert target["metadata"]["name"] == pipeline["serialPipeline"]["stages"][0]["targetId"]
