"""Read `deployment.toml` and say where each setting came from.

A mistake raises `SettingsError` with the file, the key and the remedy. Every environment of the file is read each
time, so that a slip in production's table is found in the sandbox already.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from verification.errors import SettingsError
from verification.redaction import register
from verification.settings.model import Role, Settings
from verification.settings.service import REFERENCE

Tree = dict[str, object]

_ROLES = get_args(Role)
_TARGET_KEYS = ("url", "certificate_url", "ca_file", "cloud_run")
_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
_COMPUTED_KEYS = ("targets", "environment")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and `sources`: for what deserves a word in the header, where it came from."""

    settings: Settings
    sources: dict[str, str]


def load(file: Path, environment: str, variables: Mapping[str, str] = os.environ) -> Loaded:
    """The settings of `environment`. Raises SettingsError."""
    tree = _read(file)
    names = _environment_names(tree, file)
    if environment not in names:
        raise SettingsError(
            f'there is no environment "{environment}" in {file}', f"It has: {', '.join(names)}. Use one with --env."
        )
    _refuse_misplaced(tree, file)
    try:
        for name in names:
            _check(tree, name, file)
        return _build(tree, environment, file, variables)
    except RecursionError:
        raise SettingsError(f"{file} nests its tables too deeply", "Take the nesting out.") from None


def environments(file: Path) -> list[str]:
    """The names of the environments in `file`. Raises SettingsError."""
    return _environment_names(_read(file), file)


def secret(reference: str, key: str, variables: Mapping[str, str] = os.environ) -> str:
    """The value of `reference`: the text itself, or for `$NAME` the environment variable, which becomes a known secret.

    Raises SettingsError when the variable is not set.
    """
    found = REFERENCE.fullmatch(reference)
    if found is None:
        return reference
    value = variables.get(found[1], "")
    if not value:
        raise SettingsError(
            f"{key} needs the environment variable {found[1]}, which is not set",
            f"Set {found[1]}, or take the table of {key} out of deployment.toml if the service has no such thing.",
        )
    register(value)
    return value


def _read(file: Path) -> Tree:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"there is no file {file}", "Name another one with --deployment FILE.") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}", "Look at its permissions.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 text (byte {error.start})", "Save it as UTF-8.") from None
    except RecursionError:
        raise SettingsError(f"{file} nests its values too deeply", "Take the nesting out.") from None
    except ValueError as error:  # mostly TOMLDecodeError; also a number too long to read, a file name that is none
        raise SettingsError(f"{file} is not valid TOML: {error}", "Mend that place in the file.") from None


def _environment_names(tree: Tree, file: Path) -> list[str]:
    table = tree.get("environments")
    if not isinstance(table, dict) or not table:
        raise SettingsError(f"{file} describes no environment", "Add a table [environments.production].")
    return list(table)


def _check(tree: Tree, name: str, file: Path) -> None:
    # What the variables hold does not matter here: only that the file itself is right.
    tables = [tree.get("github"), _table(tree, name, file).get("github")]
    references = [str(table.get("repository", "")).removeprefix("$") for table in tables if isinstance(table, dict)]
    _build(tree, name, file, dict.fromkeys([_PROJECT_VARIABLES[0], *references], "any/any"))


def _refuse_misplaced(tree: Tree, file: Path) -> None:
    """Refuse what only an environment may say of itself, and what is never written but worked out."""
    own = {f"environments.{name}.": _table(tree, name, file) for name in _environment_names(tree, file)}
    tables = {"": tree, **own}
    for place, table in tables.items():
        for key in table:
            if key in _COMPUTED_KEYS:
                raise SettingsError(f"{file}: {place}{key}: unknown key", "Take the key out.")
            if not place and key in {"roles", "sandbox"}:
                raise SettingsError(f"{file}: {key} belongs to an environment", "Move it into [environments.NAME].")


def _build(tree: Tree, name: str, file: Path, variables: Mapping[str, str]) -> Loaded:
    table = _table(tree, name, file)
    shared = {key: value for key, value in tree.items() if key != "environments"}
    own = {key: value for key, value in table.items() if key not in _TARGET_KEYS}
    merged = _merge(shared, own)
    target = {key: table[key] for key in _TARGET_KEYS if key in table}
    sources = {"settings": str(file)}
    _fill_project(target, name, file, variables, sources)
    _fill_repository(merged, variables)
    roles = table.get("roles", [])
    if not table.get("sandbox"):
        known = [role for role in _ROLES if role in roles] if isinstance(roles, list) else []
        merged["targets"] = dict.fromkeys(known, target)
        if "url" in target:
            sources["url"] = f"{file}, environments.{name}.url"
    try:
        return Loaded(Settings.model_validate({**merged, "environment": name}), sources)
    except ValidationError as error:
        raise SettingsError(*_explain(error, name, file, tree)) from None


def _table(tree: Tree, name: str, file: Path) -> Tree:
    environments_ = tree["environments"]
    table = environments_.get(name) if isinstance(environments_, dict) else None
    if not isinstance(table, dict):
        raise SettingsError(f"{file}: environments.{name} is not a table", f"Write it as [environments.{name}].")
    if table.get("sandbox") is True and any(key in table for key in _TARGET_KEYS):
        raise SettingsError(
            f"{file}: environments.{name} is the sandbox and names an address as well",
            "Take out url, certificate_url, ca_file and cloud_run: the sandbox brings its own.",
        )
    return table


def _merge(below: Mapping[str, object], above: Mapping[str, object]) -> Tree:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merge(under, value) if isinstance(value, dict) and isinstance(under, dict) else value
    return merged


def _fill_project(target: Tree, name: str, file: Path, variables: Mapping[str, str], sources: dict[str, str]) -> None:
    cloud_run = target.get("cloud_run")
    if not isinstance(cloud_run, dict):
        return
    where = f"{file}, environments.{name}.cloud_run.project"
    project = cloud_run.get("project")
    if project is None:
        variable = next((name for name in _PROJECT_VARIABLES if variables.get(name)), "")
        project, where = variables.get(variable, ""), f"environment variable {variable}"
    if not project:
        raise SettingsError(
            f"{file}: environments.{name}.cloud_run has no project",
            f"Set the environment variable {_PROJECT_VARIABLES[0]}, or write project there.",
        )
    target["cloud_run"] = {**cloud_run, "project": project}
    sources["project"] = where


def _fill_repository(merged: Tree, variables: Mapping[str, str]) -> None:
    """`[github]` without a repository is not configured: off GitHub Actions the variable is simply not there."""
    github = merged.get("github")
    if isinstance(github, dict) and (found := REFERENCE.fullmatch(str(github.get("repository")))):
        value = variables.get(found[1])
        merged["github"] = {**github, "repository": value} if value else None


def _explain(error: ValidationError, name: str, file: Path, tree: Tree) -> tuple[str, str]:
    """Each mistake of the file in one line, and the remedy of the first."""
    details = error.errors(include_url=False)
    lines = [f"{file}: {_key(detail, name, tree)}: {_words(detail)}" for detail in details]
    unknown = next((detail for detail in details if detail["type"] == "extra_forbidden"), None)
    remedy = "Mend it in the file."
    if unknown is not None:
        close = get_close_matches(str(unknown["loc"][-1]), _known_keys(unknown["loc"]), n=1)
        remedy = f'Did you mean "{close[0]}"?' if close else "Take the key out, or mend its spelling."
    return "\n".join(dict.fromkeys(lines)), remedy


def _key(detail: ErrorDetails, name: str, tree: Tree) -> str:
    location = [str(part) for part in detail["loc"]]
    if location[:1] == ["targets"]:
        location = ["environments", name, *location[2:]]
    else:
        own: object = tree["environments"]
        for part in [name, *location]:
            own = own.get(part) if isinstance(own, dict) else None
        if own is not None:
            location = ["environments", name, *location]
    return ".".join(location)


def _words(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return "unknown key"
    if detail["type"] == "missing":
        return "is missing"
    message = detail["msg"].removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    model: object = Settings
    for part in location[:-1]:
        fields = getattr(model, "model_fields", {})
        if part not in fields:  # the key of a mapping, the place in a list: the table is still the same
            continue
        annotation = fields[part].annotation
        model = next(
            (inner for inner in (*getattr(annotation, "__args__", ()), annotation) if hasattr(inner, "model_fields")),
            None,
        )
    return [*getattr(model, "model_fields", {}), *(_TARGET_KEYS if model is Settings else ())]
