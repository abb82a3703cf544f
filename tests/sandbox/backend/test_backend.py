"""A revision without faults answers as the real service does. Everything is asked through the ingress."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pymongo import AsyncMongoClient, MongoClient
from starlette.applications import Starlette
from starlette.routing import Route

from benchmarks import web
from sandbox.backend.database import SlowProxy
from sandbox.backend.health import HealthEndpoints
from sandbox.faults import Faults
from sandbox.platform.listener import Listener
from sandbox.platform.model import Revision
from tests.conftest import Address


@pytest.fixture
def production(sandbox: Address) -> dict[str, Any]:
    found: dict[str, Any] = sandbox["environments"]["production"]
    return found


@pytest.fixture
def service(production: dict[str, Any]) -> Iterator[httpx.Client]:
    with web.Client(base_url=production["url"], timeout=10) as client:
        yield client


@pytest.fixture
def video_url(service: httpx.Client) -> str:
    url: str = service.get("/api/v1/content", params={"limit": 1}).json()["items"][0]["stream_url"]
    return url


def test_liveness_is_the_two_fields_and_no_more(service: httpx.Client) -> None:
    response = service.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "healthy", "app": "Bayit+ Backend"})


def test_readiness_measures_the_database(service: httpx.Client) -> None:
    response = service.get("/health/ready")
    body = response.json()
    assert response.status_code == 200
    assert body["status"] == "ready"
    assert body["services"]["mongodb"]["status"] == "healthy"
    assert body["services"]["mongodb"]["latency_ms"] > 0


def test_deep_health_says_which_revision_and_commit_answers_and_how_each_dependency_is(
    service: httpx.Client, sandbox: Address
) -> None:
    deployment = web.get(sandbox["operator"]).json()["environments"]["production"]["deployment"]
    response = service.get("/health/deep")
    body = response.json()
    assert response.status_code == 200
    assert (body["status"], body["app"]) == ("healthy", "Bayit+ Backend")
    assert (body["revision"], body["commit"]) == (deployment["current"], deployment["commit"])
    assert set(body["services"]) == {"mongodb", "openai", "elevenlabs", "pinecone"}
    assert all(dependency["latency_ms"] > 0 for dependency in body["services"].values())


def test_the_smoke_user_logs_in_and_the_token_is_stored_in_the_database(
    service: httpx.Client, sandbox: Address, production: dict[str, Any]
) -> None:
    response = service.post("/api/v1/auth/login", json=sandbox["smoke_user"])
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"access_token", "token_type"}
    assert body["token_type"] == "bearer"
    with MongoClient[dict[str, Any]](production["mongodb"], serverSelectionTimeoutMS=5000) as client:
        session = client.get_default_database()["sessions"].find_one({"token": body["access_token"]})
        assert session is not None
        user = client.get_default_database()["users"].find_one({"_id": session["user_id"]})
    assert user is not None
    assert user["email"] == sandbox["smoke_user"]["email"]
    assert sandbox["smoke_user"]["password"] not in str(user)


@pytest.mark.parametrize(
    ("email", "password"), [("smoke@bayit.example", "wrong"), ("nobody@bayit.example", "wrong"), ("", "")]
)
def test_wrong_credentials_get_401_and_no_hint_which_part_was_wrong(
    service: httpx.Client, email: str, password: str
) -> None:
    response = service.post("/api/v1/auth/login", json={"email": email, "password": password})
    assert (response.status_code, response.json()) == (401, {"detail": "Incorrect email or password"})


@pytest.mark.parametrize("body", ["", "no json", "[]", '{"email": "a"}', '{"email": {"$ne": 1}, "password": "b"}'])
def test_a_login_that_is_not_understood_gets_422(service: httpx.Client, body: str) -> None:
    assert service.post("/api/v1/auth/login", content=body).status_code == 422


def test_content_is_public_limited_and_counted(service: httpx.Client) -> None:
    body = service.get("/api/v1/content", params={"limit": 3}).json()
    assert len(body["items"]) == 3
    assert body["total"] > 3
    assert all(set(item) == {"id", "title", "type", "stream_url"} for item in body["items"])


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many", "²"])
def test_a_limit_out_of_bounds_gets_422(service: httpx.Client, limit: str) -> None:
    assert service.get("/api/v1/content", params={"limit": limit}).status_code == 422


def test_stream_urls_lead_back_to_the_address_that_was_asked(service: httpx.Client, sandbox: Address) -> None:
    url, tls_url = (sandbox["environments"]["production"][kind] for kind in ("url", "tls_url"))
    items = service.get("/api/v1/content").json()["items"]
    assert all(item["stream_url"].startswith(f"{url}/media/") for item in items)
    trusted = ssl.create_default_context(cafile=sandbox["ca_file"])
    item = httpx.get(f"{tls_url}/api/v1/content?limit=1", verify=trusted).json()["items"][0]
    assert item["stream_url"].startswith(f"{tls_url}/media/")


def test_search_ignores_case_and_takes_the_query_literally(service: httpx.Client) -> None:
    body = service.get("/api/v1/search", params={"q": "FAMILY"}).json()
    assert body["query"] == "FAMILY"
    assert body["total"] == len(body["results"]) == 2
    assert all(set(result) == {"id", "title", "type"} for result in body["results"])
    assert service.get("/api/v1/search", params={"q": ".*"}).json()["total"] == 0
    assert service.get("/api/v1/search").status_code == 422


def test_a_video_starts_with_an_ftyp_box_and_its_boxes_fill_the_file(video_url: str) -> None:
    response = web.get(video_url)
    assert (response.status_code, response.headers["content-type"]) == (200, "video/mp4")
    assert response.headers["accept-ranges"] == "bytes"
    video, boxes, offset = response.content, [], 0
    while offset < len(video):
        size, kind = struct.unpack_from(">I4s", video, offset)
        boxes.append(kind)
        offset += size
    assert (boxes, offset) == ([b"ftyp", b"free", b"mdat"], len(video))
    assert len(video) > 200_000


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-1023", 0, 1024), ("bytes=1000-1000", 1000, 1001), ("bytes=-500", -500, None), ("bytes=300000-", 300000, None),
     ("bytes=300000-99999999", 300000, None)],
)  # fmt: skip
def test_a_range_gets_206_with_exactly_these_bytes(video_url: str, asked: str, start: int, end: int | None) -> None:
    whole = web.get(video_url).content
    part = web.get(video_url, headers={"Range": asked})
    first = start % len(whole) if start < 0 else start
    last = first + len(whole[start:end]) - 1
    assert part.status_code == 206
    assert part.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"
    assert hashlib.sha256(part.content).digest() == hashlib.sha256(whole[start:end]).digest()


@pytest.mark.parametrize(
    ("asked", "status"),
    [("bytes=99999999-", 416), ("bytes=-0", 416), ("bytes=5-2", 200), ("bytes=0-1,5-6", 200), ("pages=1-2", 200), ("bytes=-", 200)],
)  # fmt: skip
def test_a_range_outside_gets_416_and_one_that_is_not_understood_the_whole(
    video_url: str, asked: str, status: int
) -> None:
    response = web.get(video_url, headers={"Range": asked})
    assert response.status_code == status
    if status == 416:
        assert response.headers["content-range"].startswith("bytes */")


def test_what_is_not_there_gets_a_json_404(service: httpx.Client) -> None:
    for path in ("/media/000000000000000000000000.mp4", "/api/v1/nothing", "/"):
        response = service.get(path)
        assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


def test_nothing_in_an_answer_tells_the_sandbox_from_cloud_run(service: httpx.Client) -> None:
    for path in ("/health", "/health/deep", "/api/v1/content?limit=1", "/nothing"):
        response = service.get(path)
        assert response.headers["server"] == "Google Frontend"
        assert "date" in response.headers
        assert "sandbox" not in f"{response.headers}{response.text}".lower()


async def _readiness(mongodb: str, reply_seconds: float, *faults: str) -> dict[str, Any]:
    """What /health/ready says of a database whose replies take that long, in a revision with these faults."""
    url = urlsplit(mongodb)
    proxy = SlowProxy(url.port or 0, reply_seconds)
    await proxy.start()
    client = AsyncMongoClient[dict[str, object]](f"mongodb://127.0.0.1:{proxy.port}{url.path}", directConnection=True)
    revision = Revision("a-service-00001-abc", "a-service", datetime.now(UTC), image="", commit="c0ffee")
    health = HealthEndpoints(revision, lambda: client, "http://127.0.0.1:9", Faults(faults))
    listener = Listener(Starlette(routes=[Route("/health/ready", health.ready)]))
    await listener.start()
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as asking:
            answer = await asking.get(f"{listener.url}/health/ready")
        found: dict[str, Any] = answer.json()["services"]["mongodb"]
        return found
    finally:
        await listener.stop()
        await health.close()
        await client.close()
        await proxy.stop()


@pytest.mark.parametrize(("faults", "status"), [((), "healthy"), (("mongodb-slow",), "degraded")])
def test_a_busy_machine_shows_in_the_latency_and_not_in_the_state(
    faults: tuple[str, ...], status: str, production: dict[str, Any]
) -> None:
    mongodb = asyncio.run(_readiness(production["mongodb"], 0.4, *faults))
    assert mongodb["status"] == status
    assert mongodb["latency_ms"] >= 400
