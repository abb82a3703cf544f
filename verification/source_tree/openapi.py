"""What of an OpenAPI description (3.x, JSON or YAML) a client could stumble over when it changes.

Looked for: paths, methods, media types, successful answers and their fields that are gone; parameters and request
fields that are required now; types that a client would not send, or not expect. `$ref` is followed within the document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from verification.errors import ObserverError
from verification.source_tree.openapi_schema import Direction, Node, Tree, compare_schemas

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
    return tuple(dict.fromkeys(_changes(Node(before, before), Node(after, after))))


def _changes(before: Node, after: Node) -> Iterator[str]:
    # A path parameter's name is its place in the path, and no client sends it.
    there = {_TEMPLATE.sub("{}", path): item for path, item in after.named("paths").items()}
    for path, old_item in before.named("paths").items():
        new_item = there.get(_TEMPLATE.sub("{}", path))
        if new_item is None:
            yield f"{path}: the path is gone"
            continue
        for method in _METHODS:
            if method not in old_item.tree:
                continue
            where = f"{method.upper()} {path}"
            if method not in new_item.tree:
                yield f"{where}: the method is gone"
                continue
            old, new = old_item.at(method), new_item.at(method)
            yield from _parameters(where, _parameters_of(old_item, old), _parameters_of(new_item, new))
            body, new_body = old.at("requestBody"), new.at("requestBody")
            if new_body.is_set("required") and not body.is_set("required"):
                yield f"{where}: a request body is required now"
            yield from _contents(f"{where}: request", body, new_body, "request")
            yield from _answers(where, old, new)


def _parameters_of(item: Node, operation: Node) -> dict[tuple[str, str], Node]:
    listed = [*item.listed("parameters"), *operation.listed("parameters")]
    found = {(str(parameter.tree.get("in")), str(parameter.tree.get("name"))): parameter for parameter in listed}
    return {(place, name): parameter for (place, name), parameter in found.items() if place != "path"}


def _parameters(where: str, old: Mapping[tuple[str, str], Node], new: Mapping[tuple[str, str], Node]) -> Iterator[str]:
    for (place, name), parameter in new.items():
        was = old.get((place, name))
        if parameter.is_set("required") and (was is None or not was.is_set("required")):
            yield f"{where}: the {place} parameter {name} is required now"
        if was is not None:
            named = f"{where}: {place} parameter {name}"
            yield from compare_schemas(named, was.at("schema"), parameter.at("schema"), "request")


def _answers(where: str, old: Node, new: Node) -> Iterator[str]:
    there = new.named("responses")
    for status, answer in old.named("responses").items():
        if not status.startswith("2"):
            continue
        now = there.get(status, there.get("2XX", there.get("default")))
        if now is None:
            yield f"{where}: the answer {status} is gone"
        else:
            yield from _contents(f"{where}: answer {status}", answer, now, "answer")


def _contents(where: str, old: Node, new: Node, direction: Direction) -> Iterator[str]:
    there = new.named("content")
    for media, content in old.named("content").items():
        if media in there:
            yield from compare_schemas(where, content.at("schema"), there[media].at("schema"), direction)
        else:
            yield f"{where}: {media} is gone"


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
