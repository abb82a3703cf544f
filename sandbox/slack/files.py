"""Slack's files: upload in three calls, sharing in a thread, deletion."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response

from sandbox.slack.blocks import SlackError
from sandbox.slack.model import identifier

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.slack.methods import Answer, Arguments
    from sandbox.slack.model import Workspace
    from sandbox.vendor_api import Json


@dataclass(slots=True)
class SlackFile:
    """A file; `content` is None until it was uploaded."""

    id: str
    name: str
    length: int
    title: str = ""
    content: bytes | None = None

    def show(self) -> dict[str, Json]:
        """As messages carry it."""
        kind = "text/html" if self.name.endswith(".html") else "text/plain"
        return {"id": self.id, "name": self.name, "title": self.title, "mimetype": kind, "size": self.length}


class SlackFiles:
    """The files of a workspace. `base` is the address at which this Slack is reached."""

    def __init__(self, workspace: Workspace) -> None:
        self.base = ""
        self._workspace = workspace
        self._files: dict[str, SlackFile] = {}
        self.by_name: dict[str, tuple[str, Callable[[Arguments], Answer]]] = {
            "files.getUploadURLExternal": ("files:write", self._ask),
            "files.completeUploadExternal": ("files:write", self._complete),
            "files.delete": ("files:write", self._delete),
        }

    async def upload(self, request: Request) -> Response:
        """Take the contents of a file that was asked for."""
        file = self._files.get(request.path_params["id"])
        body = await request.body()
        if file is None or len(body) != file.length:
            return PlainTextResponse("Bad upload", 400)
        file.content = body
        return PlainTextResponse(f"OK - {file.length}")

    def _ask(self, arguments: Arguments) -> Answer:
        name, length = arguments.text("filename"), arguments.text("length")
        if not name or not length.isdigit():
            raise SlackError("invalid_arguments")
        file = SlackFile(identifier("F"), name, int(length))
        self._files[file.id] = file
        return {"upload_url": f"{self.base}upload/{file.id}", "file_id": file.id}

    def _complete(self, arguments: Arguments) -> Answer:
        given = arguments.values.get("files")
        asked = json.loads(given) if isinstance(given, str) else given
        files = []
        for wanted in asked if isinstance(asked, list) else []:
            file = self._files.get(str(wanted.get("id")))
            if file is None or file.content is None:
                raise SlackError("file_not_found")
            file.title = str(wanted.get("title") or file.name)
            files.append(file)
        shown: list[Json] = [file.show() for file in files]
        channel = self._workspace.channels.get(arguments.text("channel_id"))
        if arguments.text("channel_id"):
            if channel is None or not channel.is_member:
                raise SlackError("channel_not_found")
            text, thread = arguments.text("initial_comment"), arguments.text("thread_ts")
            message = self._workspace.add_message(channel, self._workspace.bot, text, thread_ts=thread)
            message.files = shown
        return {"files": shown}

    def _delete(self, arguments: Arguments) -> Answer:
        file = self._files.pop(arguments.text("file"), None)
        if file is None:
            raise SlackError("file_not_found")
        for channel in self._workspace.channels.values():
            for message in list(channel.messages):
                if any(isinstance(shared, dict) and shared.get("id") == file.id for shared in message.files):
                    channel.messages.remove(message)
        return {}
