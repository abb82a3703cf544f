"""Where settings come from: the shared tables, the environment's own, variables; and what a user sees of a mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from verification.errors import SettingsError
from verification.redaction import HIDDEN, redact
from verification.settings.loading import environments, load, secret

ROOT = Path(__file__).parents[2]

BASE = """
[service]
name = "a"

[smoke]
timeout = "10s"
retry_after = "30s"

[github]
repository = "$OWN_REPOSITORY"
workflow = "Deploy"

[environments.staging]
roles = ["staging"]
url = "https://staging.example"
smoke.timeout = "20s"

[environments.production]
roles = ["production"]
url = "https://api.example"

[environments.production.cloud_run]
service = "backend"
region = "us-east1"

[environments.sandbox]
roles = ["staging", "production"]
sandbox = true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "deployment.toml"
    made.write_text(BASE)
    return made


PROJECT = {"GOOGLE_CLOUD_PROJECT": "a-project"}


def test_an_environment_says_what_differs_and_shares_the_rest(file: Path) -> None:
    staging = load(file, "staging", PROJECT).settings
    assert (staging.smoke.timeout, staging.smoke.retry_after) == (20, 30)
    assert load(file, "production", PROJECT).settings.smoke.timeout == 10


def test_each_environment_has_its_own_target(file: Path) -> None:
    assert load(file, "staging", PROJECT).settings.target.url == "https://staging.example"
    assert load(file, "production", PROJECT).settings.target.url == "https://api.example"
    assert load(file, "sandbox", PROJECT).settings.targets == {}, "known once it runs"


def test_an_environment_that_plays_both_roles_verifies_production(file: Path) -> None:
    file.write_text(BASE.replace('roles = ["production"]', 'roles = ["staging", "production"]'))
    loaded = load(file, "production", PROJECT).settings
    assert set(loaded.targets) == {"staging", "production"}
    assert loaded.target is loaded.targets["production"]


def test_environments_are_listed_and_an_unknown_one_is_refused_with_their_names(file: Path) -> None:
    assert environments(file) == ["staging", "production", "sandbox"]
    with pytest.raises(SettingsError, match="It has: staging, production, sandbox"):
        load(file, "prod", PROJECT)


@pytest.mark.parametrize("asked", ["staging", "production", "sandbox"])
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('url = "https://api.example"', 'url = "api.example"', "environments.production.url"),
        ('smoke.timeout = "20s"', "smoke.timeout = 20", "environments.staging.smoke.timeout"),
        ("sandbox = true", "sandbox = 1", "environments.sandbox.sandbox"),
        ('roles = ["staging", "production"]', 'rolls = ["staging"]', "environments.sandbox.rolls"),
        ('workflow = "Deploy"', "workflow = 1", "github.workflow"),
    ],
    ids=["url", "overlay", "sandbox", "roles", "github"],
)
def test_a_mistake_in_one_environment_is_found_whichever_is_asked_for(
    file: Path, asked: str, old: str, new: str, told: str
) -> None:
    assert old in BASE
    file.write_text(BASE.replace(old, new))
    with pytest.raises(SettingsError) as caught:
        load(file, asked, PROJECT)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sandbox = true\n" + BASE, "sandbox belongs to an environment"),
        ('roles = ["production"]\n' + BASE, "roles belongs to an environment"),
        ('environment = "x"\n' + BASE, "environment: unknown key"),
        ('[targets.production]\nurl = "https://evil.example"\n' + BASE, "targets: unknown key"),
        (
            BASE + '[environments.sandbox.targets.production]\nurl = "https://evil.example"\n',
            "sandbox.targets: unknown key",
        ),
        (BASE + 'url = "https://api.example"\n', "is the sandbox and names an address as well"),
        ('url = "https://api.example"\n' + BASE, "url: unknown key"),
    ],
    ids=["sandbox", "roles", "environment", "targets", "own-targets", "sandbox-url", "url"],
)
def test_what_only_one_place_may_say_is_refused_elsewhere(file: Path, text: str, told: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(file, "sandbox", PROJECT)
    assert told in str(caught.value)


def test_the_project_comes_from_the_file_before_the_variables_and_says_so(file: Path) -> None:
    loaded = load(file, "production", PROJECT)
    assert loaded.settings.target.cloud_run is not None
    assert loaded.settings.target.cloud_run.project == "a-project"
    assert loaded.sources["project"] == "environment variable GOOGLE_CLOUD_PROJECT"
    other = load(file, "production", {"CLOUDSDK_CORE_PROJECT": "other", "GOOGLE_CLOUD_PROJECT": ""})
    assert other.sources["project"] == "environment variable CLOUDSDK_CORE_PROJECT"
    file.write_text(BASE.replace('region = "us-east1"', 'region = "us-east1"\nproject = "written"'))
    written = load(file, "production", PROJECT)
    assert written.settings.target.cloud_run is not None
    assert written.settings.target.cloud_run.project == "written"
    assert written.sources["project"] == f"{file}, environments.production.cloud_run.project"


def test_a_missing_project_is_asked_for_only_by_the_environment_that_needs_it(file: Path) -> None:
    load(file, "staging", {})
    with pytest.raises(SettingsError, match=r"environments\.production\.cloud_run has no project") as caught:
        load(file, "production", {})
    assert "GOOGLE_CLOUD_PROJECT" in caught.value.remedy


def test_a_repository_that_no_variable_names_is_not_configured(file: Path) -> None:
    assert load(file, "staging", PROJECT).settings.github is None
    github = load(file, "staging", {**PROJECT, "OWN_REPOSITORY": "owner/name"}).settings.github
    assert github is not None
    assert github.repository == "owner/name"


def test_a_variable_that_holds_a_secret_makes_it_a_known_one_whatever_its_name() -> None:
    for name in ("SMOKE_USER_PASSWORD", "BAYIT_PW"):
        value = f"value-of-{name.lower()}-9f3a"
        assert secret(f"${name}", "flows.login.body.password", {name: value}) == value
        assert redact(f"<{value}>") == f"<{HIDDEN}>"


def test_plain_text_is_itself_and_no_secret() -> None:
    assert secret("just-a-plain-word", "a.key", {}) == "just-a-plain-word"
    assert redact("just-a-plain-word") == "just-a-plain-word"


@pytest.mark.parametrize("variables", [{}, {"SMOKE_USER_PASSWORD": ""}], ids=["missing", "empty"])
def test_a_variable_that_is_not_set_is_asked_for_with_the_key_that_needs_it(variables: dict[str, str]) -> None:
    with pytest.raises(
        SettingsError, match=r"body\.password needs the environment variable SMOKE_USER_PASSWORD"
    ) as caught:
        secret("$SMOKE_USER_PASSWORD", "flows.login.body.password", variables)
    assert "Set SMOKE_USER_PASSWORD" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BASE.replace('timeout = "10s"', "timeout = 10"), "smoke.timeout: expected a duration"),
        (BASE.replace("https://api.example", "https://u:hunter22@api.example"), "must not carry credentials"),
    ],
    ids=["wrong-type", "credentials"],
)
def test_a_user_sees_one_message_and_no_traceback(file: Path, text: str, told: str) -> None:
    file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "smoke", "--env", "production", f"--deployment={file}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 4
    assert said.count(told) == 1
    assert str(file) in said
    assert "Traceback" not in said
    assert "hunter22" not in said
    assert len(said.strip().splitlines()) <= 4
