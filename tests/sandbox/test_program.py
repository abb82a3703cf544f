"""The program: it starts, says where it is, and ends on request, leaving nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from pymongo import MongoClient

from benchmarks import web
from tests.conftest import END_SECONDS, ROOT, Address, Start, program, ready


def poll(question: Callable[[], object]) -> None:
    deadline = time.monotonic() + END_SECONDS
    while not question():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.02)


def group_is_gone(process: subprocess.Popen[str]) -> bool:
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def ports(document: Address) -> list[int]:
    cloud_run = document["cloud_run"]
    urls = [document["operator"], cloud_run["rest"], cloud_run["proxy"], f"tcp://{cloud_run['grpc']}"]
    for environment in document["environments"].values():
        urls += [environment["url"], environment["tls_url"], environment["mongodb"]]
    return [port for url in urls if (port := httpx.URL(url).port)]


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def invoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=END_SECONDS,
        check=False,
    )


def test_help_names_the_options_the_operator_api_and_the_exit_codes() -> None:
    result = invoke("--help")
    assert (result.returncode, result.stderr) == (0, "")
    for word in ("--announce", "--with-parent", "/release", "/faults", "/served", "SIGTERM", "exit codes"):
        assert word in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nonsense"], "--nonsense"),
        (["--with-parent", "mother"], "'mother' is not a process id"),
        (["--with-parent", "99999999"], "no process 99999999"),
        (["--announce", "/nowhere/at/all.json"], "/nowhere/at/all.json"),
        (["--announce"], "expected one argument"),
    ],
)
def test_a_wrong_argument_gets_one_clear_line_and_exit_code_2(arguments: list[str], words: str) -> None:
    result = invoke(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_nothing_is_left(tmp_path: Path, number: signal.Signals) -> None:
    announcement = tmp_path / "addresses.json"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with program("--announce", str(announcement), temporary=temporary) as process:
        document = ready(process)
        assert json.loads(announcement.read_text()) == document
        assert document["pid"] == process.pid
        assert len(list(temporary.iterdir())) == 1
        # An open connection and a request that takes seconds must not hold it up.
        web.post(f"{document['operator']}/release", json={"environment": "staging", "faults": ["dependency-slow"]})
        with socket.create_connection(("127.0.0.1", ports(document)[4])) as busy:
            busy.sendall(b"GET /health/deep HTTP/1.1\r\nHost: x\r\n\r\n")
            process.send_signal(number)
            assert process.wait(END_SECONDS) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert group_is_gone(process)
    assert all(refuses(port) for port in ports(document))
    assert list(tmp_path.rglob("*")) == [temporary]


def test_a_second_signal_ends_it_at_once_and_still_leaves_no_file(tmp_path: Path) -> None:
    with program(temporary=tmp_path) as process:
        ready(process)
        process.send_signal(signal.SIGSTOP)  # so that both are there when it goes on
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert process.wait(END_SECONDS) in {128 + signal.SIGTERM, 128 + signal.SIGINT}
    assert group_is_gone(process)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_while_it_starts_ends_it_cleanly_too(tmp_path: Path) -> None:
    with program(temporary=tmp_path) as process:
        poll(lambda: list(tmp_path.iterdir()))  # it has begun
        process.terminate()
        assert process.wait(END_SECONDS) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert group_is_gone(process)
    assert list(tmp_path.iterdir()) == []


def test_it_ends_when_the_process_it_goes_with_is_gone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as parent:
        try:
            with program("--with-parent", str(parent.pid), temporary=tmp_path) as process:
                ready(process)
                parent.kill()  # and not waited for: even a zombie counts as gone
                assert process.wait(END_SECONDS) == 0
        finally:
            parent.kill()
    assert group_is_gone(process)
    assert list(tmp_path.iterdir()) == []


def test_an_announcement_that_another_sandbox_has_replaced_is_left_alone(tmp_path: Path) -> None:
    announcement = tmp_path / "addresses.json"
    with program("--announce", str(announcement)) as process:
        ready(process)
        announcement.write_text('{"schema":1,"pid":1,"operator":"another"}')
        process.terminate()
        assert process.wait(END_SECONDS) == 0
    assert "another" in announcement.read_text()


def test_the_document_is_printed_and_served_alike(sandbox: Address) -> None:
    assert sandbox["schema"] == 1
    served = web.get(sandbox["operator"]).json()
    sandbox = deepcopy(sandbox)
    for document in (sandbox, served):
        for environment in document["environments"].values():
            environment.pop("deployment", None)  # moves with each release
    assert served == sandbox


def test_everything_listens_on_loopback_alone(sandbox: Address) -> None:
    wanted = {f"{port:04X}" for port in ports(sandbox)}
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        listening |= {tuple(row[1].split(":")) for row in rows if row[3] == "0A"}
    loopback = {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1, and the same written as IPv6
    assert {port for _, port in listening} >= wanted
    assert {address for address, port in listening if port in wanted} <= loopback


def test_the_certificate_is_valid_for_ninety_days_and_good_for_a_client_with_the_ca_file(sandbox: Address) -> None:
    url = httpx.URL(sandbox["environments"]["production"]["tls_url"])
    trusted = ssl.create_default_context(cafile=sandbox["ca_file"])
    assert httpx.get(f"{url}/health", verify=trusted).status_code == 200
    pem = ssl.get_server_certificate((url.host, url.port or 443))
    left = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)


@pytest.fixture(scope="module")
def fresh(start_sandbox: Start) -> Address:
    return start_sandbox()


def test_it_starts_with_a_past_in_which_productions_newest_revision_never_served(fresh: Address) -> None:
    document = fresh
    for environment in document["environments"].values():
        parent = f"{document['cloud_run']['rest']}/v2/projects/{document['project']}/locations/{document['region']}"
        service = web.get(f"{parent}/services/{environment['service']}").json()
        note = environment["deployment"]
        assert service["latestReadyRevision"].endswith(f"/{note['current']}")
        newest = "-00003-" if environment["service"] == "bayit-plus-backend" else "-00002-"
        assert newest in service["latestCreatedRevision"]
        deep = web.get(f"{environment['url']}/health/deep").json()
        assert (deep["revision"], deep["commit"]) == (note["current"], note["commit"])
        assert ("-00001-" in note["previous"], "-00002-" in note["current"]) == (True, True)


def test_two_sandboxes_live_side_by_side_and_share_nothing(fresh: Address, sandbox: Address) -> None:
    one, other = fresh, sandbox
    assert set(ports(one)).isdisjoint(ports(other))
    web.post(f"{one['operator']}/release", json={"environment": "production", "faults": ["login-broken"]})
    login = "/api/v1/auth/login"

    def status(world: Address, user: Address) -> int:
        url = world["environments"]["production"]["url"]
        return web.post(f"{url}{login}", json=user["smoke_user"]).status_code

    assert (status(one, one), status(other, other), status(other, one)) == (500, 200, 401)
    with MongoClient[Address](one["environments"]["production"]["mongodb"], serverSelectionTimeoutMS=5000) as client:
        client.get_default_database()["content"].delete_many({})
    contents = [
        web.get(f"{world['environments'][environment]['url']}/api/v1/content").json()["total"]
        for world, environment in ((one, "production"), (one, "staging"), (other, "production"))
    ]
    assert contents[0] == 0
    assert contents[1] == contents[2] > 0
