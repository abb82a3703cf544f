"""`python -m verification.settings.reference`: docs/settings.md, made from the models that read deployment.toml.

`--check` ends with 1 where the file is stale.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from verification.settings.model import CloudRunSettings, Settings, Target
from verification.settings.tables import Table
from verification.settings.units import duration_text

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
# These are filled in from the tables [environments.NAME], which the file has and the model has not.
_FILLED_IN = {"environment", "targets", "roles", "sandbox"}
_HEAD = """# Settings: every key of `deployment.toml`

Made from the models by `python -m verification.settings.reference`; a test says when it is stale. Do not edit it.

- Durations are written `"500ms"`, `"30s"`, `"15m"`, `"24h"`; rates `"1%"`.
- A table that is left out is *not configured*: its criteria are left out too, and the report lists them.
- Any table may stand again below `[environments.NAME]`, for that environment alone: it is laid over the other one.
- Secrets never stand in the file. `"$NAME"` is read from the environment variable `NAME`.
- An unknown key, or a value of another kind, is a mistake that is named with its place before anything runs.

## `[environments.NAME]`

One table for each environment that `--env NAME` may verify. `sandbox` is the local stand-in.

| key | value | default |
|---|---|---|
| `roles` | list of: "staging", "production" | must be given |
| `sandbox` | true or false | `false` |
"""


def document() -> str:
    """The whole page."""
    parts = [
        _HEAD.rstrip(),
        _rows(Target, skip={"cloud_run"}),
        _section("environments.NAME.cloud_run", CloudRunSettings),
    ]
    tables = (one for one in _tables("", Settings) if one[0].partition(".")[0] not in _FILLED_IN)
    parts += [_section(name, model) for name, model in tables]
    # The rows of a target belong to the table before them.
    return f"{parts[0]}\n{parts[1]}\n\n" + "\n\n".join(parts[2:]) + "\n"


def _section(name: str, model: type[Table]) -> str:
    words = (model.__doc__ or "").strip()
    about = "\n".join(line.strip() for line in words.splitlines())
    header = "| key | value | default |\n|---|---|---|"
    rows = _rows(model)
    return f"## `[{name}]`\n\n{about}" + (f"\n\n{header}\n{rows}" if rows else "")


def _tables(prefix: str, model: type[Table]) -> Iterator[tuple[str, type[Table]]]:
    """Every table below `model`, each after the one that holds it."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        for inner in _models(field.annotation):
            yield path, inner
            yield from _tables(f"{path}.", inner)
        for inner in get_args(field.annotation) if get_origin(field.annotation) is list else ():
            if _models(inner):
                yield f"[{path}]", inner  # an array of tables


def _rows(model: type[Table], skip: frozenset[str] | set[str] = frozenset()) -> str:
    return "\n".join(
        f"| `{field.alias or name}` | {_cell(_kind(field.annotation, field.metadata))} | {_cell(_default(field))} |"
        for name, field in model.model_fields.items()
        if name not in skip and not _models(field.annotation)
    )


def _models(annotation: Any) -> list[type[Table]]:
    """The tables that a key holds; those of a mapping have names of the user's choice."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return [annotation]
    if get_origin(annotation) in {list, tuple}:
        return []
    return list(dict.fromkeys(one for inner in get_args(annotation) for one in _models(inner)))


def _kind(annotation: Any, metadata: Sequence[object] = ()) -> str:
    """What may stand there, in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if any("Seconds" in _name(one) or "seconds" in _name(one) for one in metadata):
        return "duration" + _bounds(metadata)
    if any("share" in _name(one) for one in metadata):
        return "rate" + _bounds(metadata)
    if origin is Annotated:
        return _kind(inner[0], [*annotation.__metadata__, *metadata])
    if origin in {Union, types.UnionType}:
        return " or ".join(_kind(one) for one in inner if one is not type(None))
    if origin is Literal:
        return " or ".join(f'"{one}"' for one in inner)
    if origin in {list, tuple}:
        return f"list of: {_kind(inner[0])}"
    if origin is dict:
        return f"table of: {_kind(inner[1])}"
    words = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return words.get(annotation, _name(annotation)) + _bounds(metadata)


def _bounds(metadata: Sequence[object]) -> str:
    signs = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"), ("pattern", "like"))
    found = [
        f"{sign} {value}" for one in metadata for name, sign in signs if (value := getattr(one, name, None)) is not None
    ]
    return f" ({', '.join(found)})" if found else ""


def _name(one: object) -> str:
    function = getattr(one, "func", one)
    return str(getattr(function, "__name__", type(one).__name__))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return "not configured"
    if isinstance(value, (int, float)) and any("seconds" in _name(one) for one in _all_metadata(field)):
        return f'`"{duration_text(value)}"`'
    if isinstance(value, Enum):
        value = value.value
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _all_metadata(field: FieldInfo) -> list[object]:
    return [*field.metadata, *getattr(field.annotation, "__metadata__", ())]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 written or as it should be, 1 stale."""
    given = sys.argv[1:] if arguments is None else arguments
    if "--check" not in given:
        DOCUMENT.write_text(document(), encoding="utf-8")
        return 0
    return int(DOCUMENT.read_text(encoding="utf-8") != document())


if __name__ == "__main__":
    sys.exit(main())
