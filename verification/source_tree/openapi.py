"""What of an OpenAPI description (3.x, JSON or YAML) a client could stumble over when it changes.

Looked for: paths, methods, media types, successful answers and their fields that are gone; parameters and request
fields that are required now; types that a client would not send, or not expect. `$ref` is followed within the document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from verification.errors import ObserverError
from verification.source_tree.openapi_schema import Schema, Tree, compare_answer, compare_request, tree

Comparison = Callable[[str, Schema, Schema], Iterator[str]]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_TEMPLATE = re.compile(r"\{[^{}]*\}")


def parse_openapi(text: str, name: str) -> Tree:
    """The document in `text`, the content of the file `name`. Raises ObserverError."""
    try:
        document = json.loads(text) if name.endswith(".json") else _yaml(text)
    except (ValueError, RecursionError) as error:
        raise ObserverError(
            f"{name} cannot be read: {str(error)[:200]}", "Mend the file, or release.openapi."
        ) from None
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise ObserverError(f"{name} is not an OpenAPI description: it has no paths", "Mend release.openapi.")
    if not str(document.get("openapi", "")).startswith("3."):
        raise ObserverError(f"{name} is not OpenAPI 3", "Swagger 2 can be converted, for example with swagger2openapi.")
    return document


def breaking_changes(before: Tree, after: Tree) -> tuple[str, ...]:
    """What a client of `before` could stumble over in `after`, one line each."""
    return tuple(dict.fromkeys(_changes(_Document(before), _Document(after))))


@dataclass(slots=True)
class _Document:
    root: Tree
    paths: dict[str, tuple[str, Tree]] = field(init=False)  # by path, with its parameters' names taken out

    def __post_init__(self) -> None:
        listed = tree(self.root.get("paths"))
        self.paths = {_TEMPLATE.sub("{}", path): (path, self.resolve(item)) for path, item in listed.items()}

    def resolve(self, value: object) -> Tree:
        return Schema(value, self.root).node

    def schema(self, value: object) -> Schema:
        return Schema(value, self.root)

    def parameters(self, item: Tree, operation: Tree) -> dict[tuple[str, str], Tree]:
        listed = [*_list(item.get("parameters")), *_list(operation.get("parameters"))]
        found = [self.resolve(one) for one in listed]
        # A path parameter's name is its place in the path, and no client sends it.
        return {(str(one.get("in")), str(one.get("name"))): one for one in found if one.get("in") != "path"}


def _changes(before: _Document, after: _Document) -> Iterator[str]:
    for key, (path, item) in before.paths.items():
        if key not in after.paths:
            yield f"{path}: the path is gone"
            continue
        there = after.paths[key][1]
        for method in _METHODS:
            if method not in item:
                continue
            where = f"{method.upper()} {path}"
            if method not in there:
                yield f"{where}: the method is gone"
                continue
            old, new = before.resolve(item[method]), after.resolve(there[method])
            yield from _parameters(where, before, before.parameters(item, old), after, after.parameters(there, new))
            yield from _body(where, before, old, after, new)
            yield from _answers(where, before, old, after, new)


def _parameters(
    where: str,
    before: _Document,
    old: Mapping[tuple[str, str], Tree],
    after: _Document,
    new: Mapping[tuple[str, str], Tree],
) -> Iterator[str]:
    for (place, name), parameter in new.items():
        was = old.get((place, name))
        if parameter.get("required") is True and (was is None or was.get("required") is not True):
            yield f"{where}: the {place} parameter {name} is required now"
        if was is not None:
            schemas = before.schema(was.get("schema")), after.schema(parameter.get("schema"))
            yield from compare_request(f"{where}: {place} parameter {name}", *schemas)


def _body(where: str, before: _Document, old: Tree, after: _Document, new: Tree) -> Iterator[str]:
    was, body = before.resolve(old.get("requestBody")), after.resolve(new.get("requestBody"))
    if body.get("required") is True and was.get("required") is not True:
        yield f"{where}: a request body is required now"
    yield from _contents(f"{where}: request", before, was, after, body, compare=compare_request)


def _answers(where: str, before: _Document, old: Tree, after: _Document, new: Tree) -> Iterator[str]:
    there = tree(new.get("responses"))
    for status, answer in tree(old.get("responses")).items():
        if not status.startswith("2"):
            continue
        now = there.get(status, there.get("2XX", there.get("default")))
        if now is None:
            yield f"{where}: the answer {status} is gone"
            continue
        was, will_be = before.resolve(answer), after.resolve(now)
        yield from _contents(f"{where}: answer {status}", before, was, after, will_be, compare=compare_answer)


def _contents(
    where: str, before: _Document, old: Tree, after: _Document, new: Tree, *, compare: Comparison
) -> Iterator[str]:
    there = tree(new.get("content"))
    for media, content in tree(old.get("content")).items():
        if media not in there:
            yield f"{where}: {media} is gone"
            continue
        schemas = before.schema(tree(content).get("schema")), after.schema(tree(there[media]).get("schema"))
        yield from compare(where, *schemas)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _yaml(text: str) -> object:
    import yaml

    class Loader(yaml.SafeLoader):
        """Takes all but true and false for text: a status 200 is a key like any other, and `no` is a country."""

        yaml_implicit_resolvers = {}  # noqa: RUF012  (PyYAML declares it as no class variable)

    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|false"), ["t", "f"])
    Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"<<"), ["<"])
    try:
        return Loader(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
