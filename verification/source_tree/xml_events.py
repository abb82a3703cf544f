"""XML that somebody else wrote, read as a stream of elements; entities, which XML attacks are made of, are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from verification.errors import ObserverError

_LARGEST = 256_000_000  # bytes; test output in it can be much, but not that much


def read_elements(
    file: Path, started: Callable[[str, dict[str, str]], None], ended: Callable[[str], None] | None = None
) -> None:
    """Call `started(name, attributes)` and `ended(name)` for each element of `file`.

    Raises ObserverError for a file that cannot be read, is not well-formed, declares entities or is far too large.
    """
    parser = expat.ParserCreate()
    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    parser.EntityDeclHandler = _refuse
    try:
        if file.stat().st_size > _LARGEST:
            raise ObserverError(f"{file.name} is larger than {_LARGEST / 1e6:.0f} MB", "Have less output put in it.")
        with file.open("rb") as stream:
            parser.ParseFile(stream)
    except OSError as error:
        raise ObserverError(f"{file.name} cannot be read: {error.strerror}") from None
    except expat.ExpatError as error:
        raise ObserverError(
            f"{file.name} is not XML, or not whole: {error}", "Was the command that writes it ended early?"
        ) from None


def _refuse(*_: object) -> NoReturn:
    raise ObserverError("the XML declares entities, which no test report needs", "Find out who wrote that file.")
