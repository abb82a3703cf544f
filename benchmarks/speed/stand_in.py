"""A service like Bayit+ whose every answer takes the same time, and a `deployment.toml` made for it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

VARIABLES = {"SMOKE_USER_EMAIL": "user@bench.invalid", "SMOKE_USER_PASSWORD": "right"}
ITEMS = 3  # as many as the playback flow samples
_DEPLOYMENT = Path(__file__).with_name("stand_in.toml")


class DelayedService(ThreadingHTTPServer):
    """The service; every answer begins `delay` seconds after its question."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, delay: float) -> None:
        super().__init__(("127.0.0.1", 0), _DelayedAnswer)
        self.delay = delay
        self.questions: list[str] = []  # their paths

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def write_deployment(self, folder: Path) -> Path:
        """A `deployment.toml` with the one environment `bench`, without Cloud Run: nothing there can be rolled back."""
        file = folder / "deployment.toml"
        text = _DEPLOYMENT.read_text(encoding="utf-8")
        file.write_text(text.replace("http://URL", self.url), encoding="utf-8")
        return file


@contextmanager
def running_stand_in(delay: float) -> Iterator[DelayedService]:
    """The service, for as long as the block lasts."""
    with DelayedService(delay) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _DelayedAnswer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DelayedService

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/media/"):
            self._answer(206, b"\0" * 1024, "video/mp4")
        elif path.startswith("/health"):
            self._say({"status": "healthy", "services": {"mongodb": {"status": "healthy", "latency_ms": 1.0}}})
        else:
            items = [{"id": str(n), "stream_url": f"{self.server.url}/media/{n}.mp4"} for n in range(ITEMS)]
            self._say({"items": items})

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = sent["password"] == VARIABLES["SMOKE_USER_PASSWORD"]
        self._say({"access_token": "t"} if right else {"detail": "wrong"}, 200 if right else 401)

    def _say(self, document: object, status: int = 200) -> None:
        self._answer(status, json.dumps(document).encode(), "application/json")

    def _answer(self, status: int, body: bytes, media_type: str) -> None:
        self.server.questions.append(self.path)
        time.sleep(self.server.delay)
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the table is the output."""
