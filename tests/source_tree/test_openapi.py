"""What of an API a client would stumble over when it changes, and what not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from verification.source_tree.openapi import breaking_changes, parse_openapi

Document = dict[str, Any]
Change = Callable[[Document], object]

BEFORE: Document = {
    "openapi": "3.1.0",
    "info": {"title": "Bayit+", "version": "1"},
    "paths": {
        "/api/v1/content/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {
                "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
                "responses": {
                    "200": {
                        "description": "OK",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Title"}}},
                    },
                    "404": {"description": "Not found"},
                },
            },
            "delete": {"responses": {"204": {"description": "Gone"}}},
        },
        "/api/v1/login": {
            "post": {
                "requestBody": {"$ref": "#/components/requestBodies/Login"},
                "responses": {"200": {"$ref": "#/components/responses/Token"}},
            }
        },
    },
    "components": {
        "requestBodies": {
            "Login": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Credentials"}}}}
        },
        "responses": {"Token": {"description": "OK", "content": {"application/json": {"schema": {"type": "object"}}}}},
        "schemas": {
            "Credentials": {
                "type": "object",
                "required": ["email"],
                "properties": {"email": {"type": "string"}, "age": {"type": "integer"}},
            },
            "Title": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "year": {"type": "integer"},
                    "score": {"type": "number"},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "tags": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
                    "similar": {"type": "array", "items": {"$ref": "#/components/schemas/Title"}},
                },
            },
        },
    },
}
CONTENT = "/api/v1/content/{id}"


def after(change: Change) -> tuple[str, ...]:
    changed = copy.deepcopy(BEFORE)
    change(changed)
    return breaking_changes(BEFORE, changed)


def content(document: Document) -> Document:
    found: Document = document["paths"][CONTENT]
    return found


def title(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["Title"]["properties"]
    return found


def credentials(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["Credentials"]
    return found


BREAKING: dict[str, tuple[Change, str]] = {
    "path": (lambda d: d["paths"].pop(CONTENT), f"{CONTENT}: the path is gone"),
    "method": (lambda d: content(d).pop("delete"), f"DELETE {CONTENT}: the method is gone"),
    "answer": (lambda d: content(d)["get"]["responses"].pop("200"), f"GET {CONTENT}: the answer 200 is gone"),
    "media type": (
        lambda d: content(d)["get"]["responses"]["200"].update(content={"text/xml": {}}),
        f"GET {CONTENT}: answer 200: application/json is gone",
    ),
    "answered field": (lambda d: title(d).pop("year"), "answer 200: the field year is gone"),
    "answered field deep inside": (
        lambda d: title(d)["tags"]["items"]["properties"].pop("name"),
        "answer 200: the field tags.[].name is gone",
    ),
    "answered type": (
        lambda d: title(d).update(id={"type": "integer"}),
        "answer 200: the type of id was string, and is integer",
    ),
    "answered type widened": (
        lambda d: title(d).update(id={"type": ["string", "null"]}),
        "the type of id was string, and is null or string",
    ),
    "answered null in 3.0": (lambda d: title(d).update(id={"type": "string", "nullable": True}), "null or string"),
    "answered number for integer": (
        lambda d: title(d).update(year={"type": "number"}),
        "the type of year was integer, and is number",
    ),
    "new required parameter": (
        lambda d: content(d)["get"]["parameters"].append({"name": "lang", "in": "query", "required": True}),
        f"GET {CONTENT}: the query parameter lang is required now",
    ),
    "new required parameter of the path item": (
        lambda d: content(d)["parameters"].append({"name": "X-Key", "in": "header", "required": True}),
        f"GET {CONTENT}: the header parameter X-Key is required now",
    ),
    "parameter required now": (
        lambda d: content(d)["get"]["parameters"][0].update(required=True),
        "the query parameter limit is required now",
    ),
    "parameter type": (
        lambda d: content(d)["get"]["parameters"][0].update(schema={"type": "boolean"}),
        "query parameter limit: the type was integer, and is boolean",
    ),
    "body required now": (
        lambda d: d["components"]["requestBodies"]["Login"].update(required=True),
        "POST /api/v1/login: a request body is required now",
    ),
    "new required field": (
        lambda d: credentials(d).update(required=["email", "device"]),
        "POST /api/v1/login: request: the field device is required now",
    ),
    "field required by a part": (
        lambda d: d["components"]["schemas"].update(
            Credentials={"allOf": [BEFORE["components"]["schemas"]["Credentials"], {"required": ["age"]}]}
        ),
        "the field age is required now",
    ),
    "sent type narrowed": (
        lambda d: credentials(d)["properties"].update(email={"type": "object"}),
        "request: the type of email was string, and is object",
    ),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda d: d,
    "new path": lambda d: d["paths"].update({"/new": {"get": {"responses": {}}}}),
    "new method": lambda d: content(d).update(put={"responses": {}}),
    "new answered field": lambda d: title(d).update(new={"type": "string"}),
    "new optional parameter": lambda d: content(d)["get"]["parameters"].append({"name": "lang", "in": "query"}),
    "new optional field": lambda d: credentials(d)["properties"].update(device={"type": "string"}),
    "another name in the path": lambda d: d["paths"].update({"/api/v1/content/{title}": d["paths"].pop(CONTENT)}),
    "an error's answer": lambda d: content(d)["get"]["responses"].pop("404"),
    "an answer in general": lambda d: content(d)["get"]["responses"].update(
        default=content(d)["get"]["responses"].pop("200")
    ),
    "sent type widened": lambda d: credentials(d)["properties"].update(age={"type": "number"}),
    "answered integer for number": lambda d: title(d).update(score={"type": "integer"}),
    "answered null no more": lambda d: title(d).update(note={"type": "string"}),
    "optional written in parts": lambda d: title(d).update(id={"allOf": [{"type": "string"}]}),
    "required by one alternative only": lambda d: d["components"]["schemas"].update(
        Credentials={"anyOf": [BEFORE["components"]["schemas"]["Credentials"], {"type": "object", "required": ["x"]}]}
    ),
    "schema said nothing of a type": lambda d: title(d).update(id={"description": "any"}),
}


@pytest.mark.parametrize(("change", "line"), BREAKING.values(), ids=BREAKING)
def test_what_breaks_a_client_is_told(change: Change, line: str) -> None:
    found = after(change)
    assert any(line in one for one in found), found


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_breaks_no_client_is_not(change: Change) -> None:
    assert after(change) == ()


def test_a_change_is_told_once_however_often_it_is_referred_to() -> None:
    found = after(lambda d: title(d).pop("year"))
    assert len(found) == len(set(found))


def test_circles_and_broken_references_are_survived() -> None:
    circle = copy.deepcopy(BEFORE)
    schemas = circle["components"]["schemas"]
    schemas["Title"] = {"$ref": "#/components/schemas/Other"}
    schemas["Other"] = {"$ref": "#/components/schemas/Title"}
    schemas["Credentials"] = {"anyOf": [{"$ref": "#/components/schemas/Credentials"}] * 3, "required": ["email"]}
    breaking_changes(circle, circle)
    breaking_changes(BEFORE, circle)
    nowhere = copy.deepcopy(BEFORE)
    nowhere["paths"][CONTENT]["get"] = {"$ref": "https://elsewhere.example/x.json"}
    breaking_changes(nowhere, BEFORE)


@pytest.mark.parametrize("junk", [[], "text", 7, None, {"get": []}, {"get": {"parameters": {}, "responses": []}}])
def test_malformed_parts_do_no_harm(junk: object) -> None:
    odd = copy.deepcopy(BEFORE)
    odd["paths"][CONTENT] = junk
    breaking_changes(BEFORE, odd)
    breaking_changes(odd, BEFORE)


def test_yaml_is_read_as_json_is() -> None:
    text = "openapi: 3.0.3\npaths:\n  /a:\n    get: {responses: {200: {description: OK}}}\n"
    assert set(parse_openapi(text, "api.yaml")) == {"openapi", "paths"}
    assert parse_openapi(json.dumps(BEFORE), "api.json") == BEFORE


def test_statuses_that_yaml_takes_for_numbers_are_statuses() -> None:
    text = "openapi: 3.0.3\npaths:\n  /a:\n    get: {responses: {%s: {description: OK}}}\n"
    assert parse_openapi(text % "200", "a.yaml")["openapi"] == "3.0.3"
    old, new = (parse_openapi(text % one, "api.yaml") for one in ("200", "'200'"))
    assert breaking_changes(old, new) == ()
    assert breaking_changes(old, parse_openapi(text % "404", "a.yaml")) == ("GET /a: the answer 200 is gone",)
