"""The remedy that fits a failure, with the environment's own names."""

from __future__ import annotations

import shlex

import pytest

from verification.criteria.remedies import hint
from verification.settings.model import Settings
from verification.settings.service import CloudRunSettings, ServiceInfo, Target


def settings(**target: object) -> Settings:
    known = Target.model_validate({"url": "https://api.example", **target})
    return Settings(
        environment="production", roles=["production"], service=ServiceInfo(name="a"), targets={"production": known}
    )


RUN = CloudRunSettings(service="back end", region="r", project="pro'ject; rm -rf /")


@pytest.mark.parametrize("reason", ["status is 503, expected 200", "status is unhealthy, expected healthy"])
def test_a_service_that_does_not_start_is_looked_for_in_its_logs(reason: str) -> None:
    words = shlex.split(hint(reason, settings(cloud_run=RUN)).partition(": ")[2])
    assert words[:3] == ["gcloud", "logging", "read"]
    assert 'service_name="back end"' in words[3]
    assert words[words.index("--project") + 1] == RUN.project


def test_without_cloud_run_the_service_itself_is_asked() -> None:
    assert hint("status is 503", settings()).endswith("curl -i https://api.example")


@pytest.mark.parametrize("reason", ["services.mongodb.status is down (503)", "ServerSelectionTimeoutError: 30s"])
def test_a_database_that_does_not_answer_is_looked_for_in_its_secret(reason: str) -> None:
    words = shlex.split(hint(reason, settings(cloud_run=RUN)).partition("? ")[2])
    assert words[:4] == ["gcloud", "secrets", "versions", "list"]
    assert words[-1] == RUN.project


@pytest.mark.parametrize("reason", ["", "status is 404, expected 200", "bytes received is 1503", "id is 5031"])
def test_no_remedy_is_made_up(reason: str) -> None:
    assert hint(reason, settings()) == ""


def test_a_sandbox_that_does_not_run_has_no_names_to_fill_in() -> None:
    nobody = Settings(environment="sandbox", roles=["production"], sandbox=True, service=ServiceInfo(name="a"))
    assert hint("status is 503", nobody) == ""


def test_a_container_that_is_killed_for_want_of_memory_gets_the_command_for_more() -> None:
    said = hint("1 containers killed: Memory limit of 512 MiB exceeded with 530 MiB used.", settings(cloud_run=RUN))
    words = shlex.split(said.partition(": ")[2])
    assert words[:5] == ["gcloud", "run", "services", "update", "back end"]
    assert words[words.index("--memory") + 1] == "4Gi"
