"""The criteria that README and docs/ show: a team that copies one has one that passes on a healthy service."""

from __future__ import annotations

from pathlib import Path

from tests.runs.conftest import SHIPPED, Runner, World
from tests.snippets import snippets


def test_a_criterion_that_is_copied_from_the_documents_passes(run: Runner, world: World, tmp_path: Path) -> None:
    shown = snippets("python")
    assert len(shown) == 2
    (tmp_path / "checks").mkdir()
    for number, snippet in enumerate(shown):
        (tmp_path / "checks" / f"test_copied_{number}.py").write_text(snippet.text, encoding="utf-8")
    file = tmp_path / "deployment.toml"
    file.write_text(f'{SHIPPED}\n[criteria]\npaths = ["checks"]\n', encoding="utf-8")
    ran = run("-m", "smoke", "--env", "sandbox", f"--deployment={file}", variables=world.variables)
    verdicts = {result.id: result.verdict for result in ran.verdict.criteria}
    assert (verdicts.get("catalogue"), verdicts.get("titles_have_names")) == ("pass", "pass"), ran.said
    assert ran.code == 0, ran.said
