"""Read an SQL migration, without running it, for statements that destroy something; with a real SQL parser."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from sqlglot import Dialect, Token, TokenType
from sqlglot import expressions as sql
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.simplify import simplify

from verification.migrations.findings import DestructiveOperation, ReadResult, Unreadable, shortened

_HARMLESS_COMMANDS = {"ANALYZE", "COMMENT", "EXPLAIN", "GRANT", "SHOW", "VACUUM"}
_UNDERSTOOD = (
    sql.Query, sql.Insert, sql.Update, sql.Delete, sql.Merge, sql.Create, sql.Drop, sql.Alter, sql.TruncateTable,
    sql.Comment, sql.Set, sql.Transaction, sql.Commit, sql.Rollback, sql.Use, sql.Pragma, sql.Grant, sql.Analyze,
    sql.Semicolon,
)  # fmt: skip

# Its remarks on statements that it does not take apart would land between the lines of the run; they are in the answer.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


def read_sql(source: str, file: str, dialect: str) -> ReadResult:
    """What the statements of `source` would destroy."""
    known = Dialect.get_or_raise(dialect)
    read = ReadResult()
    try:
        for tokens in _statements(known.tokenize(source)):
            for statement in known.parser().parse(tokens, source):
                if statement is not None:
                    read += _read_statement(statement, file, tokens[0].line, dialect)
    except (SqlglotError, RecursionError) as error:
        line = int((getattr(error, "errors", None) or [{}])[0].get("line") or 1)
        first = str(error).partition("\n")[0]
        reason = f"not {dialect} as it is known: {first}"
        return read + ReadResult(unreadable=(Unreadable(file, line, reason),))
    return read


def _statements(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens of one statement after the other; a statement's own first token tells its line."""
    statement: list[Token] = []
    for token in tokens:
        if token.token_type is not TokenType.SEMICOLON:
            statement.append(token)
        elif statement:
            yield statement
            statement = []
    if statement:
        yield statement


def _read_statement(statement: sql.Expr, file: str, line: int, dialect: str) -> ReadResult:
    code = shortened(statement.sql(dialect=dialect, comments=False))
    operations = dict.fromkeys(_operations(statement))
    findings = tuple(DestructiveOperation(file, line, operation, code) for operation in operations)
    harmless = isinstance(statement, sql.Command) and str(statement.this).upper() in _HARMLESS_COMMANDS
    if harmless or isinstance(statement, _UNDERSTOOD):
        return ReadResult(findings)
    return ReadResult(findings, (Unreadable(file, line, f"{code}: not understood"),))


def _operations(statement: sql.Expr) -> Iterator[str]:
    for node in statement.walk():
        if isinstance(node, sql.Drop):
            yield f"DROP {str(node.args.get('kind') or '').upper()}".strip()
        elif isinstance(node, sql.TruncateTable):
            yield "TRUNCATE"
        elif isinstance(node, sql.Delete) and _concerns_all(node):
            yield "DELETE without WHERE"
        elif isinstance(node, sql.Update) and _concerns_all(node):
            yield "UPDATE without WHERE"
        elif isinstance(node, (sql.AlterRename, sql.RenameColumn)):
            yield "RENAME"


def _concerns_all(statement: sql.Delete | sql.Update) -> bool:
    where = statement.args.get("where")
    if where is None:
        return True
    condition = simplify(where.this.copy())
    return isinstance(condition, sql.Boolean) and bool(condition.this)
