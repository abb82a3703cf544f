"""Google's own descriptions of its APIs (they come with google-api-python-client), to hold answers against."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import googleapiclient

DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "integer": int,
    "string": str,
    "object": dict,
    "array": list,
    "number": (int, float),
}


class Description:
    """A discovery document, and what a value breaks of it."""

    def __init__(self, name: str) -> None:
        self.schemas = json.loads((DOCUMENTS / f"{name}.json").read_text())["schemas"]

    def breaches(self, schema: str, value: object) -> list[str]:
        """Every place where `value` is not what the schema of this name says."""
        return list(self._object(schema, value, schema))

    def _object(self, schema: str, value: object, place: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{place}: {value!r} is not an object"
            return
        properties = self.schemas[schema]["properties"]
        for key, part in value.items():
            if key not in properties:
                yield f"{place}.{key}: the schema has no such field"
            else:
                yield from self._value(properties[key], part, f"{place}.{key}")

    def _value(self, rule: dict[str, object], value: object, place: str) -> Iterator[str]:
        if "$ref" in rule:
            yield from self._object(str(rule["$ref"]), value, place)
            return
        if rule["type"] == "any":
            return
        kind = PYTHON_TYPES[str(rule["type"])]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            yield f"{place}: {value!r} is not of type {rule['type']}"
            return
        if "enum" in rule and value not in rule["enum"]:  # type: ignore[operator]
            yield f"{place}: {value!r} is not of the enumeration"
        yield from self._format(str(rule.get("format", "")), value, place)
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._value(rule["items"], item, f"{place}[{index}]")  # type: ignore[arg-type]
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from self._value(rule["additionalProperties"], item, f"{place}.{key}")  # type: ignore[arg-type]

    def _format(self, form: str, value: object, place: str) -> Iterator[str]:
        try:
            if form == "int64":
                int(str(value))
            elif form == "google-datetime":
                datetime.fromisoformat(str(value))
        except ValueError:
            yield f"{place}: {value!r} is not of format {form}"
