"""One revision of the service: a streaming service's backend as an ASGI application.

It is written as the real one would be, with a MongoDB client and calls to the services it depends on. What goes wrong
in it goes wrong because of the faults planted in the revision.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, ValidationError
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.backend import catalogue
from sandbox.backend.blips import Blips
from sandbox.backend.database import hash_password, password_matches
from sandbox.backend.health import HealthEndpoints
from sandbox.backend.request_faults import RequestFaults, fail_silently

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sandbox.backend.configuration import Configuration


SLOW_START_SECONDS = 0.7
DATABASE_TIMEOUT_MS = 10_000  # a first connection on a busy machine can take seconds
DEAD_DATABASE_TIMEOUT_MS = 1500  # of an address that refuses connections, where waiting is of no use
MAX_LIMIT = 100

_ANOTHER_PASSWORD = hash_password(secrets.token_urlsafe(18))

Document = dict[str, object]

_ERROR_PAGE = """<!DOCTYPE html>
<html><head><title>500 Internal Server Error</title></head>
<body><h1>Internal Server Error</h1><p>The server could not complete your request.</p></body></html>
"""


class _Login(BaseModel):
    email: str
    password: str


class _Page(BaseModel):
    limit: int = Field(20, ge=1, le=MAX_LIMIT)


class _Search(BaseModel):
    q: str = Field(min_length=1)


class Backend:
    """The ASGI application of one revision. Create it inside the event loop that serves it; `close` it afterwards."""

    def __init__(self, configuration: Configuration) -> None:
        from sandbox.backend.sentry_client import Reporter, report  # slow to import

        self._report = report
        host = configuration.host
        self._faults, self._write = host.faults, host.write
        self._surroundings, self._smoke_email = configuration.surroundings, configuration.smoke_email
        self._trouble = RequestFaults(host.faults, host.out_of_memory, host.revision.name)
        self._blips = Blips(host.faults)
        self._mongodb_url = configuration.mongodb_url
        self._clients: dict[str, AsyncMongoClient[Document]] = {}  # by address
        self._health = HealthEndpoints(
            host.revision, self._mongo, configuration.upstreams, host.faults, configuration.surroundings
        )
        self._connecting: asyncio.Task[None] | None = None
        self._content_requests = 0
        self._app = Starlette(
            routes=[
                Route("/health", self._health.live),
                Route("/health/ready", self._health.ready),
                Route("/health/deep", self._health.deep),
                Route("/api/v1/auth/login", self._login, methods=["POST"]),
                Route("/api/v1/content", self._content),
                Route("/api/v1/search", self._search),
                Route("/media/{media_id}.mp4", self._media),
            ],
            exception_handlers={
                HTTPException: self._http_error,
                PyMongoError: self._database_error,
                ValidationError: _invalid,
            },
        )
        self._reporter = Reporter(self._answer, configuration.sentry_dsn, configuration.environment, host.revision)

    def start(self) -> None:
        """Do what an application does when its container comes up: say so, and connect to the database."""
        if "startup-errors" in self._faults:
            self._write("ERROR", "the recommendations cannot be warmed up: TimeoutError")
        self._write("INFO", "Application startup complete.")
        self._connecting = asyncio.create_task(self._connect())

    async def close(self) -> None:
        """End the connections to the database and to the other services."""
        if self._connecting is not None:
            self._connecting.cancel()
        await self._health.close()
        for client in self._clients.values():
            await client.close()
        await self._reporter.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._reporter(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._faults.begin()
        of_api = scope["path"].startswith("/api/")
        app: ASGIApp = self._app
        if self._starting() or (of_api and "unhealthy" in self._faults):
            app = JSONResponse({"detail": "Service Unavailable"}, 503)
        elif of_api and await self._trouble.delay_or_fail(_user_agent(scope)):
            self._write("ERROR", f"{scope['method']} {scope['path']} failed: its answer could not be put together")
            app = JSONResponse({"detail": "Internal Server Error"}, 500)
        await self._blips.on(app, _user_agent(scope))(scope, receive, send)

    async def _connect(self) -> None:
        try:
            await self._mongo().admin.command("ping")
        except PyMongoError as error:
            self._write("ERROR", _said(error))
        else:
            self._write("INFO", "Connected to MongoDB")

    def _mongo(self) -> AsyncMongoClient[Document]:
        """The client of the database, wherever that is now."""
        url = self._mongodb_url()
        if url not in self._clients:
            dead = "mongodb-down" in self._faults
            self._clients[url] = AsyncMongoClient(
                url,
                directConnection=True,
                serverSelectionTimeoutMS=DEAD_DATABASE_TIMEOUT_MS if dead else DATABASE_TIMEOUT_MS,
                connectTimeoutMS=DATABASE_TIMEOUT_MS,
                tz_aware=True,
            )
        return self._clients[url]

    @property
    def _database(self) -> AsyncDatabase[Document]:
        return self._mongo().get_default_database()

    def _starting(self) -> bool:
        seconds = self._faults.seconds("slow-start")
        return seconds is not None and seconds < SLOW_START_SECONDS

    async def _login(self, request: Request) -> Response:
        login = _Login.model_validate_json(await request.body())
        if "login-broken" in self._faults:
            raise HTTPException(500, "Internal Server Error")
        trouble = self._surroundings if login.email == self._smoke_email else frozenset()
        if "account-locked" in trouble:
            raise HTTPException(423, "Account locked: too many login attempts")
        user = await self._database["users"].find_one({"email": login.email})
        unchecked = "password-unchecked" in self._faults
        if user is None or not (
            unchecked or await asyncio.to_thread(password_matches, login.password, _stored(user, trouble))
        ):
            raise HTTPException(401, "Incorrect email or password", {"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(32)
        session = {"token": token, "user_id": user["_id"], "created_at": datetime.now(UTC)}
        await self._database["sessions"].insert_one(session)
        return JSONResponse({"access_token": token, "token_type": "bearer"})

    async def _content(self, request: Request) -> Response:
        limit = _Page.model_validate(request.query_params).limit
        collection = self._database["content"]
        documents = await collection.find().sort("title").limit(limit).to_list()
        items = [{**_item(document), "stream_url": _stream_url(request, document)} for document in documents]
        fail_silently(self._faults, self._content_requests, self._report)
        self._content_requests += 1
        return JSONResponse({"items": items, "total": await collection.count_documents({})})

    async def _search(self, request: Request) -> Response:
        if "search-broken" in self._faults:
            self._write("ERROR", "the search index cannot be read")
            return HTMLResponse(_ERROR_PAGE, 500)
        query = _Search.model_validate(request.query_params).q
        match = {"title": {"$regex": re.escape(query), "$options": "i"}}
        documents = await self._database["content"].find(match).sort("title").limit(MAX_LIMIT).to_list()
        results = [_item(document) for document in documents]
        return JSONResponse({"query": query, "results": results, "total": len(results)})

    async def _media(self, request: Request) -> Response:
        media_id = request.path_params["media_id"]
        if "playback-broken" in self._faults or media_id not in catalogue.MEDIA_IDS:
            raise HTTPException(404)
        return catalogue.respond(catalogue.video(media_id), request.headers.get("range"))

    async def _http_error(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code >= 500:
            self._report(error, handled=True)
            self._write("ERROR", _said(error))
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)

    async def _database_error(self, _request: Request, error: Exception) -> Response:
        self._report(error, handled=True)
        self._write("ERROR", _said(error))
        return JSONResponse({"detail": "Internal Server Error"}, 500)


def _stored(user: Document, trouble: AbstractSet[str]) -> str:
    return _ANOTHER_PASSWORD if "password-rotated" in trouble else str(user["password"])


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _user_agent(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"user-agent"), "")


async def _invalid(request: Request, error: Exception) -> Response:
    """422, as FastAPI answers it."""
    assert isinstance(error, ValidationError)
    place = "body" if request.method == "POST" else "query"
    detail = [{"type": item["type"], "loc": [place, *item["loc"]], "msg": item["msg"]} for item in error.errors()]
    return JSONResponse({"detail": detail}, 422)


def _item(document: Document) -> Document:
    return {"id": document["_id"], "title": document["title"], "type": document["type"]}


def _stream_url(request: Request, document: Document) -> str:
    # Behind an ingress the request itself is always plain HTTP; the header says what the client spoke.
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    return f"{scheme}://{request.headers['host']}/media/{document['_id']}.mp4"
