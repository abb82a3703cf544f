"""Copies a command's output to a file as it comes, without secrets, up to a largest size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

from verification.redaction import redact

_LARGEST = 20_000_000  # bytes of output that are kept; then only the end is
_BLOCK = 65_536
_LONGEST_SECRET = 4096
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]")


class Transcript:
    """Copies a stream into `file`. `problem` says why the file is not whole, if it is not."""

    def __init__(self, file: Path, largest: int = _LARGEST) -> None:
        self._file = file
        self._largest = largest
        self._seen = 0
        self._tail = ""
        self.problem = ""

    def copy(self, stream: IO[bytes]) -> None:
        """Read `stream` to its end, whatever happens to the file: a full pipe would stop the command."""
        try:
            with self._file.open("w", encoding="utf-8", errors="replace") as file:
                self._copy(stream, file)
        except OSError as error:
            self.problem = f"its output could not be written: {error.strerror}"
            while chunk := stream.read(_BLOCK):
                self._keep(redact(chunk.decode(errors="replace")))

    def last_lines(self, count: int = 8) -> str:
        """The last lines that say something, without terminal colours."""
        lines = [line.rstrip() for line in _ESCAPES.sub("", self._tail).splitlines() if line.strip()]
        return "\n".join(line[:300] for line in lines[-count:])

    def _copy(self, stream: IO[bytes], file: IO[str]) -> None:
        rest = b""
        while chunk := stream.read(_BLOCK):
            self._seen += len(chunk)
            if self._seen > self._largest:
                rest = (rest + chunk)[-2 * _BLOCK :]  # not worth cleaning, and most of it is thrown away
                continue
            rest = self._flush(rest + chunk, file)
        if self._seen > self._largest:
            left_out = self._seen / 1e6 - self._largest / 1e6
            self.problem = f"its output was cut: {left_out:.0f} MB of {self._seen / 1e6:.0f} MB are not in the file"
            file.write(f"\n... {self.problem} ...\n")
            # The first line may begin in the middle of a secret.
            rest = rest.partition(b"\n")[2] or rest[_LONGEST_SECRET:]
        self._write(redact(rest.decode(errors="replace")), file)

    def _flush(self, pending: bytes, file: IO[str]) -> bytes:
        """Write the whole lines of `pending`, so that no secret is cut in two; what is left waits for more."""
        whole, newline, rest = pending.rpartition(b"\n")
        self._write(redact((whole + newline).decode(errors="replace")), file)
        if len(rest) <= _BLOCK:
            return rest
        text = redact(rest.decode(errors="replace"))  # a line without an end
        self._write(text[:-_LONGEST_SECRET], file)
        return text[-_LONGEST_SECRET:].encode()

    def _write(self, text: str, file: IO[str]) -> None:
        if text:
            file.write(text)
            file.flush()
            self._keep(text)

    def _keep(self, text: str) -> None:
        self._tail = (self._tail + text)[-_BLOCK:]
