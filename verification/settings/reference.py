"""`python -m verification.settings.reference`: docs/settings.md, made from the models that read deployment.toml.

`--check` ends with 1 where the file is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verification.settings.model import Settings
from verification.settings.units import duration_text

JsonSchema = Mapping[str, Any]

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
# These are filled in from the tables [environments.NAME], which the file has and the model has not.
_FILLED_IN = {"environment", "targets", "roles", "sandbox"}
_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_BOUNDS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤", "pattern": "like"}
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
    root = Settings.model_json_schema()
    tables = _Tables(root["$defs"])
    target = tables.rows("Target", leave_out=["cloud_run"])
    parts = [f"{_HEAD.rstrip()}\n{target}", tables.section("environments.NAME.cloud_run", "CloudRunSettings")]
    for name, field in root["properties"].items():
        if name not in _FILLED_IN:
            parts += tables.sections(name, field)
    return "\n\n".join(parts) + "\n"


class _Tables:
    """The tables of the file by the names of their models, as JSON schemas."""

    def __init__(self, schemas: Mapping[str, JsonSchema]) -> None:
        self._schemas = schemas

    def sections(self, path: str, field: JsonSchema) -> list[str]:
        """The table at `path` and every one below it; none for a key that holds no table."""
        array = field.get("type") == "array"
        model = _model(field["items"] if array and "items" in field else field)
        if not model:
            return []
        below = [
            section
            for name, inner in self._schemas[model]["properties"].items()
            for section in self.sections(f"{path}.{name}", inner)
        ]
        return [self.section(f"[{path}]" if array else path, model), *below]

    def section(self, path: str, model: str) -> str:
        """A heading, what the model says of itself, and a line for each key."""
        rows = self.rows(model)
        header = "| key | value | default |\n|---|---|---|"
        return f"## `[{path}]`\n\n{self._schemas[model]['description']}" + (f"\n\n{header}\n{rows}" if rows else "")

    def rows(self, model: str, leave_out: Sequence[str] = ()) -> str:
        """A line for each key that holds no table of its own."""
        required = self._schemas[model].get("required", ())
        return "\n".join(
            f"| `{name}` | {_cell(_kind(field))} | {_cell('must be given' if name in required else _default(field))} |"
            for name, field in self._schemas[model]["properties"].items()
            if name not in leave_out and not _model(field)
        )


def _plain(field: JsonSchema) -> JsonSchema:
    """The schema of what may stand there; a key that may be left out is of no kind of its own."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind.get("type") != "null"]
    return kinds[0] if len(kinds) == 1 else field


def _model(field: JsonSchema) -> str:
    return str(_plain(field).get("$ref", "")).rpartition("/")[2]


def _kind(field: JsonSchema) -> str:
    """What may stand there, in words."""
    field = _plain(field)
    if model := _model(field):
        return model
    if "anyOf" in field:
        return " or ".join(map(_kind, field["anyOf"]))
    if "enum" in field:
        return " or ".join(f'"{value}"' for value in field["enum"])
    if field["type"] == "array":
        return f"list of: {_kind(field.get('items') or field['prefixItems'][0])}"
    if field["type"] == "object":
        return f"table of: {_kind(field['additionalProperties'])}"
    bounds = [f"{sign} {field[name]}" for name, sign in _BOUNDS.items() if name in field]
    return (field.get("format") or _WORDS[field["type"]]) + (f" ({', '.join(bounds)})" if bounds else "")


def _default(field: JsonSchema) -> str:
    value = field.get("default")
    if value is None:
        return "not configured"
    if _plain(field).get("format") == "duration":
        return f'`"{duration_text(value)}"`'
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


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
