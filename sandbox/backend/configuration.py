"""What a container is configured with, and stand-ins for the services that it calls: OpenAI, ElevenLabs, Pinecone.

Each answers the one cheap, read-only call that a health check makes, and insists on its vendor's way to authenticate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.platform.runtime import ContainerHost

SLOW_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration of one revision. Its database has several addresses, as some of its faults are wrong ones.

    `surroundings` are the faults in force that strike every revision, some of them whoever logs in as `smoke_email`.
    """

    host: ContainerHost
    surroundings: AbstractSet[str]
    smoke_email: str
    environment: str
    mongodb: str
    mongodb_slow: str
    mongodb_dead: str
    upstreams: str  # where the stand-ins are
    sentry_dsn: str

    def mongodb_url(self) -> str:
        """Where the database is now."""
        if "mongodb-down" in self.host.faults:
            return self.mongodb_dead
        return self.mongodb_slow if "mongodb-slow" in self.host.faults else self.mongodb


def upstreams_app() -> Starlette:
    """All stand-ins as one application."""
    return Starlette(
        routes=[
            Route("/openai/v1/models", _openai_models),
            Route("/openai-slow/v1/models", _openai_models_slowly),
            Route("/elevenlabs/v1/models", _elevenlabs_models),
            Route("/pinecone/indexes", _pinecone_indexes),
        ]
    )


async def _openai_models(request: Request) -> JSONResponse:
    if not request.headers.get("authorization", "").startswith("Bearer "):
        error = {"message": "You didn't provide an API key.", "type": "invalid_request_error", "code": None}
        return JSONResponse({"error": error}, 401)
    model = {"id": "gpt-4o-mini", "object": "model", "created": 1721172741, "owned_by": "system"}
    return JSONResponse({"object": "list", "data": [model]})


async def _openai_models_slowly(request: Request) -> JSONResponse:
    await asyncio.sleep(SLOW_SECONDS)
    return await _openai_models(request)


async def _elevenlabs_models(request: Request) -> JSONResponse:
    if "xi-api-key" not in request.headers:
        return JSONResponse({"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}, 401)
    return JSONResponse([{"model_id": "eleven_multilingual_v2", "name": "Eleven Multilingual v2"}])


async def _pinecone_indexes(request: Request) -> JSONResponse:
    if "api-key" not in request.headers:
        return JSONResponse({"error": {"code": "UNAUTHENTICATED", "message": "Invalid API Key."}, "status": 401}, 401)
    return JSONResponse({"indexes": [{"name": "content", "dimension": 1536, "metric": "cosine"}]})
