"""Schemas of an OpenAPI description, as far as compatibility goes: types, fields, required fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

Tree = dict[str, object]

_DEEPEST = 40  # references in a row: more is a circle


def tree(value: object) -> Tree:
    """`value`, if it is an object of the document; else an empty one."""
    return cast("Tree", value) if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Schema:
    """A node of the document `root`; a reference is followed."""

    raw: object
    root: Tree

    @property
    def node(self) -> Tree:
        """The node itself; empty for a reference that leads nowhere, or out of the document."""
        node = tree(self.raw)
        for _ in range(_DEEPEST):
            reference = node.get("$ref")
            if not isinstance(reference, str):
                return node
            node = tree(self._at(reference))
        return {}

    @property
    def types(self) -> frozenset[str]:
        """The JSON types that it allows, `null` among them; empty where it does not say."""
        return frozenset(kind for one in _alternatives(self) for kind in one.own_types)

    @property
    def own_types(self) -> set[str]:
        """The types of this node alone."""
        node = self.node
        kind = node.get("type")
        found = (
            {str(one) for one in kind} if isinstance(kind, list) else {str(kind)} if isinstance(kind, str) else set()
        )
        return found | {"null"} if found and node.get("nullable") is True else found

    @property
    def fields(self) -> dict[str, Schema]:
        """Its fields, those of all its parts and alternatives together."""
        found: dict[str, Schema] = {}
        for one in _alternatives(self):
            for name, raw in tree(one.node.get("properties")).items():
                found.setdefault(name, Schema(raw, self.root))
        return found

    @property
    def required(self) -> frozenset[str]:
        """The fields that every alternative requires."""
        return _required(self)

    @property
    def items(self) -> Schema:
        """What its lists hold."""
        held = (one.node["items"] for one in _alternatives(self) if "items" in one.node)
        return Schema(next(held, None), self.root)

    def parts(self, keyword: str) -> list[Schema]:
        """What stands under `allOf`, `anyOf` or `oneOf`."""
        parts = self.node.get(keyword)
        return [Schema(one, self.root) for one in parts] if isinstance(parts, list) else []

    def _at(self, reference: str) -> object:
        found: object = self.root
        for part in reference.removeprefix("#/").split("/"):
            found = tree(found).get(part.replace("~1", "/").replace("~0", "~"))
        return found


def _required(schema: Schema, above: frozenset[int] = frozenset()) -> frozenset[str]:
    if id(schema.node) in above:
        return frozenset()
    above |= {id(schema.node)}
    names = schema.node.get("required")
    found = {str(one) for one in names} if isinstance(names, list) else set()
    for part in schema.parts("allOf"):
        found |= _required(part, above)
    for keyword in ("anyOf", "oneOf"):
        alternatives = [one for one in schema.parts(keyword) if one.own_types != {"null"}]
        if alternatives:
            found |= frozenset.intersection(*(_required(one, above) for one in alternatives))
    return frozenset(found)


def _alternatives(schema: Schema) -> list[Schema]:
    """The node itself, and everything that it is put together from; each once, however they refer to each other."""
    found: dict[int, Schema] = {}
    waiting = [schema]
    while waiting:
        one = waiting.pop(0)
        if id(one.node) not in found:
            found[id(one.node)] = one
            waiting += [part for keyword in ("allOf", "anyOf", "oneOf") for part in one.parts(keyword)]
    return list(found.values())


def compare_request(where: str, before: Schema, after: Schema) -> Iterator[str]:
    """What was good to send before and is not any more."""
    yield from _request(where, "", before, after, frozenset())


def compare_answer(where: str, before: Schema, after: Schema) -> Iterator[str]:
    """What was answered before and is not any more, or is of another type."""
    yield from _answer(where, "", before, after, frozenset())


Seen = frozenset[tuple[int, int]]


def _request(where: str, path: str, before: Schema, after: Schema, seen: Seen) -> Iterator[str]:
    if (pair := _pair(before, after)) in seen:
        return
    seen |= {pair}
    yield from _types(where, path, sent=before.types, taken=after.types, was=before.types, now=after.types)
    old, new = before.fields, after.fields
    for name in sorted(after.required - before.required):
        yield f"{where}: the field {path}{name} is required now"
    for name in old.keys() & new.keys():
        yield from _request(where, f"{path}{name}.", old[name], new[name], seen)
    if "array" in before.types & after.types:
        yield from _request(where, f"{path}[].", before.items, after.items, seen)


def _answer(where: str, path: str, before: Schema, after: Schema, seen: Seen) -> Iterator[str]:
    if (pair := _pair(before, after)) in seen:
        return
    seen |= {pair}
    yield from _types(where, path, sent=after.types, taken=before.types, was=before.types, now=after.types)
    old, new = before.fields, after.fields
    # Where the type itself changed, that its fields are gone is no news.
    gone = sorted(old.keys() - new.keys()) if not after.types or "object" in after.types else []
    for name in gone:
        yield f"{where}: the field {path}{name} is gone"
    for name in sorted(old.keys() & new.keys()):
        yield from _answer(where, f"{path}{name}.", old[name], new[name], seen)
    if "array" in before.types & after.types:
        yield from _answer(where, f"{path}[].", before.items, after.items, seen)


def _types(
    where: str, path: str, *, sent: frozenset[str], taken: frozenset[str], was: frozenset[str], now: frozenset[str]
) -> Iterator[str]:
    """Where the one side would send a type that the other does not take; unsaid types are not held against anyone."""
    if sent and taken and not {"number" if one == "integer" and "number" in taken else one for one in sent} <= taken:
        name = f"the type of {path.rstrip('.')}" if path else "the type"
        yield f"{where}: {name} was {' or '.join(sorted(was))}, and is {' or '.join(sorted(now))}"


def _pair(before: Schema, after: Schema) -> tuple[int, int]:
    return id(before.node), id(after.node)
