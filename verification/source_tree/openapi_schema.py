"""Nodes of an OpenAPI description, and its schemas as far as compatibility goes: types, fields, required fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

Tree = dict[str, object]
Direction = Literal["request", "answer"]
SeenPairs = frozenset[tuple[int, int]]

_DEEPEST = 40  # references in a row: more is a circle


def tree(value: object) -> Tree:
    """`value`, if it is an object of the document; else an empty one."""
    return cast("Tree", value) if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the document `root`; a reference is followed."""

    raw: object
    root: Tree

    @property
    def tree(self) -> Tree:
        """What stands in it; nothing for a reference that leads nowhere, or out of the document."""
        node = tree(self.raw)
        for _ in range(_DEEPEST):
            reference = node.get("$ref")
            if not isinstance(reference, str):
                return node
            found: object = self.root
            for part in reference.removeprefix("#/").split("/"):
                found = tree(found).get(part.replace("~1", "/").replace("~0", "~"))
            node = tree(found)
        return {}

    def at(self, key: str) -> Node:
        """The node below it at `key`; an empty one where there is none."""
        return Node(self.tree.get(key), self.root)

    def named(self, key: str) -> dict[str, Node]:
        """The nodes of the object at `key`, by their names."""
        return {name: Node(raw, self.root) for name, raw in tree(self.tree.get(key)).items()}

    def listed(self, key: str) -> list[Node]:
        """The nodes of the list at `key`."""
        listed = self.tree.get(key)
        return [Node(raw, self.root) for raw in listed] if isinstance(listed, list) else []

    def is_set(self, key: str) -> bool:
        """Whether `key` is true."""
        return self.tree.get(key) is True


def compare_schemas(
    where: str, before: Node, after: Node, direction: Direction, path: str = "", seen: SeenPairs = frozenset()
) -> Iterator[str]:
    """What a client that knows the schema as it was `before` stumbles over: in what it sends, or in what it is sent.

    `path` is where in the whole schema these two stand, `seen` are the pairs above them.
    """
    pair = id(before.tree), id(after.tree)
    if pair in seen:
        return
    was, now = _types(before), _types(after)
    sent, taken = (was, now) if direction == "request" else (now, was)
    # Types that are not told are not held against anyone.
    if sent and taken and not {"number" if kind == "integer" and "number" in taken else kind for kind in sent} <= taken:
        name = f"the type of {path.rstrip('.')}" if path else "the type"
        yield f"{where}: {name} was {' or '.join(sorted(was))}, and is {' or '.join(sorted(now))}"
    old, new = _fields(before), _fields(after)
    if direction == "request":
        for name in sorted(_required(after) - _required(before)):
            yield f"{where}: the field {path}{name} is required now"
    elif not now or "object" in now:  # where the type itself changed, that its fields are gone is no news
        for name in sorted(old.keys() - new.keys()):
            yield f"{where}: the field {path}{name} is gone"
    for name in sorted(old.keys() & new.keys()):
        yield from compare_schemas(where, old[name], new[name], direction, f"{path}{name}.", seen | {pair})
    if "array" in was & now:
        yield from compare_schemas(where, _items(before), _items(after), direction, f"{path}[].", seen | {pair})


def _types(schema: Node) -> frozenset[str]:
    """The JSON types that it allows, `null` among them; empty where it does not say."""
    return frozenset(kind for part in _parts(schema) for kind in _own_types(part))


def _own_types(schema: Node) -> set[str]:
    kind = schema.tree.get("type")
    found = set(map(str, kind)) if isinstance(kind, list) else {kind} if isinstance(kind, str) else set()
    return found | {"null"} if found and schema.is_set("nullable") else found


def _fields(schema: Node) -> dict[str, Node]:
    """Its fields, those of all its parts and alternatives together."""
    found: dict[str, Node] = {}
    for part in _parts(schema):
        found = {**part.named("properties"), **found}
    return found


def _items(schema: Node) -> Node:
    """What its lists hold."""
    return next((part.at("items") for part in _parts(schema) if "items" in part.tree), Node(None, schema.root))


def _required(schema: Node, above: frozenset[int] = frozenset()) -> frozenset[str]:
    """The fields that every alternative requires."""
    if id(schema.tree) in above:
        return frozenset()
    above |= {id(schema.tree)}
    names = schema.tree.get("required")
    found = frozenset(map(str, names)) if isinstance(names, list) else frozenset()
    for part in schema.listed("allOf"):
        found |= _required(part, above)
    for keyword in ("anyOf", "oneOf"):
        alternatives = [part for part in schema.listed(keyword) if _own_types(part) != {"null"}]
        if alternatives:
            found |= frozenset.intersection(*(_required(part, above) for part in alternatives))
    return found


def _parts(schema: Node) -> list[Node]:
    """The node itself, and everything that it is put together from; each once, however they refer to each other."""
    found: dict[int, Node] = {}
    waiting = [schema]
    while waiting:
        part = waiting.pop(0)
        if id(part.tree) not in found:
            found[id(part.tree)] = part
            waiting += [inner for keyword in ("allOf", "anyOf", "oneOf") for inner in part.listed(keyword)]
    return list(found.values())
