"""Read a Python migration for MongoDB, without running it, for operations that destroy something.

Only what an upgrade runs is read: the code of a downgrade may drop what the upgrade made. A call counts by its name,
whatever it is called on; a filter counts as missing when it is empty, and as unreadable when it is computed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from verification.errors import ServiceError
from verification.migrations.findings import DestructiveOperation, ReadResult, Unreadable, shortened
from verification.source_tree.python_source import parse_python

_DROPS = {
    "drop": "drop", "drop_collection": "drop_collection", "drop_database": "drop_database", "drop_index": "drop_index",
    "drop_indexes": "drop_index", "rename": "rename", "delete_all": "delete without filter",
}  # fmt: skip
_DELETES = {"delete_many", "delete_one", "remove", "find_one_and_delete", "DeleteMany", "DeleteOne"}
_UPDATES = {
    "update_many", "update_one", "update", "replace_one", "find_one_and_update", "find_one_and_replace",
    "UpdateMany", "UpdateOne", "ReplaceOne",
}  # fmt: skip
_COMMANDS = {
    "drop": "drop", "dropdatabase": "drop_database", "dropindexes": "drop_index", "renamecollection": "rename",
    "converttocapped": "drop",
}  # fmt: skip
_OPERATORS = {"$unset": "$unset", "$out": "$out", "$rename": "rename"}
_HIDING = {"eval", "exec", "compile", "__import__"}
_FILTERED = _DELETES | _UPDATES


def read_python(source: str, file: str, backward: frozenset[str]) -> ReadResult:
    """What `source` would destroy. Raises ServiceError when it is no Python."""
    try:
        tree = parse_python(source, file)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise ServiceError(f"{file}:{line}: this migration is no Python: {error}", "Mend it; it cannot run.") from None
    reader = _Reader(file, _literals(tree))
    for node in _forward(tree, backward):
        reader.look_at(node)
    found = {(operation.line, operation.operation): operation for operation in reader.findings}
    in_order = sorted(found.values(), key=lambda operation: operation.line)
    return ReadResult(tuple(in_order), tuple(reader.unreadable))


def _forward(node: ast.AST, backward: frozenset[str]) -> Iterator[ast.AST]:
    """Every node that is not part of a downgrade."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and child.name in backward:
            continue
        yield child
        yield from _forward(child, backward)


def _literals(tree: ast.Module) -> dict[str, ast.expr]:
    """Names that are given one value, once."""
    values: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    values.setdefault(target.id, []).append(node.value)
    return {name: given[0] for name, given in values.items() if len(given) == 1}


class _Reader:
    def __init__(self, file: str, literals: Mapping[str, ast.expr]) -> None:
        self._file = file
        self._literals = literals
        self.findings: list[DestructiveOperation] = []
        self.unreadable: list[Unreadable] = []

    def look_at(self, node: ast.AST) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in _OPERATORS:
            self._found(node, _OPERATORS[node.value], repr(node.value))
        if not isinstance(node, ast.Call):
            return
        name = _name(node.func)
        if name == "getattr":
            name = self._named(node)
        if name in _HIDING and isinstance(node.func, ast.Name):
            self.unreadable.append(Unreadable(self._file, node.lineno, f"{name}(…) hides what is done"))
        elif name in _DROPS:
            self._found(node, _DROPS[name])
        elif name == "command" and node.args:
            self._look_at_command(node, node.args[0])
        elif name == "delete" and isinstance(node.func, ast.Attribute):
            self._look_at_chain(node, node.func.value)
        elif name in _FILTERED and not isinstance(node.func, ast.Call):
            self._look_at_filter(node, name)

    def _look_at_filter(self, call: ast.Call, name: str) -> None:
        keyword = next((keyword.value for keyword in call.keywords if keyword.arg == "filter"), None)
        given = keyword or (call.args[0] if call.args else None)
        on_own = name in {"update", "remove"}  # dict.update(), list.remove(): only with a filter like MongoDB's
        operation = f"{'delete' if name in _DELETES else 'update'} without filter"
        given = self._literals.get(given.id, given) if isinstance(given, ast.Name) else given
        if given is None:
            if not on_own:
                self._found(call, operation)
        elif isinstance(given, ast.Dict):
            if not given.keys and not (on_own and len(call.args) < 2 and name == "update"):
                self._found(call, operation)
            elif given.keys and all(key is None for key in given.keys):
                self._unclear(call, "its filter is computed")
        elif not on_own:
            self._unclear(call, "its filter is computed")

    def _look_at_command(self, call: ast.Call, given: ast.expr) -> None:
        given = self._literals.get(given.id, given) if isinstance(given, ast.Name) else given
        first = given.keys[0] if isinstance(given, ast.Dict) and given.keys else given
        if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
            self._unclear(call, "its command is computed")
        elif first.value.lower() in _COMMANDS:
            self._found(call, _COMMANDS[first.value.lower()])
        elif first.value.lower() == "delete":
            self._unclear(call, "a delete command")

    def _look_at_chain(self, call: ast.Call, asked: ast.expr) -> None:
        """`Model.find(…).delete()`, as beanie has it."""
        if isinstance(asked, ast.Call) and _name(asked.func) in {"find", "find_all", "find_many"}:
            filters = [given for given in asked.args if not (isinstance(given, ast.Dict) and not given.keys)]
            if not filters and not asked.keywords:
                self._found(call, "delete without filter")

    def _named(self, call: ast.Call) -> str:
        named = call.args[1] if len(call.args) > 1 else None
        if isinstance(named, ast.Constant) and isinstance(named.value, str):
            return named.value if named.value in _DROPS else ""
        self._unclear(call, "the name is computed")
        return ""

    def _found(self, node: ast.expr, operation: str, code: str = "") -> None:
        code = code or shortened(ast.unparse(node))
        self.findings.append(DestructiveOperation(self._file, node.lineno, operation, code))

    def _unclear(self, node: ast.expr, why: str) -> None:
        self.unreadable.append(Unreadable(self._file, node.lineno, f"{shortened(ast.unparse(node))}: {why}"))


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
