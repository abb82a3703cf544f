"""Reads the service's git clone: commits, changes, files. Nothing in the clone is changed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from verification.errors import ObserverError

_QUIET = ("-c", "core.quotepath=off", "-c", "log.showSignature=false", "-c", "core.fsmonitor=false")
_BREAKING = re.compile(r"^BREAKING[ -]CHANGE:\s*(.+)", re.MULTILINE)
_CONVENTIONAL = re.compile(r"([A-Za-z]+)(?:\([^()]*\))?(!?):\s+(.+)")
_UNSHALLOW = "git fetch --unshallow (in GitHub Actions: fetch-depth: 0)."
_HIT = re.compile(rb"([^\0]+)\0(\d+)\0(.*)\n")  # a file's name may hold a line's end


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit; read as a conventional one (https://www.conventionalcommits.org) as far as it is one."""

    sha: str
    subject: str
    body: str = ""

    @property
    def type(self) -> str:
        """`feat`, `fix`, ... in lower case; empty for a subject that names none."""
        found = _CONVENTIONAL.match(self.subject)
        return found[1].lower() if found else ""

    @property
    def description(self) -> str:
        """The subject without its type and scope."""
        found = _CONVENTIONAL.match(self.subject)
        return found[3] if found else self.subject

    @property
    def breaking(self) -> str:
        """What it breaks, in its author's words; empty when nothing is declared."""
        footer = _BREAKING.search(self.body)
        if footer:
            return footer[1].strip()
        found = _CONVENTIONAL.match(self.subject)
        return found[3] if found and found[2] else ""

    def __str__(self) -> str:
        return f"{self.sha[:7]} {self.subject}"


@dataclass(frozen=True, slots=True)
class Hit:
    """A line of a file that matches."""

    path: str
    line: int
    text: str


class Checkout:
    """The git clone at `path`. Each call of git takes `timeout` seconds at most.

    Every method raises ObserverError when git is missing, hangs, or cannot read the clone.
    """

    def __init__(self, path: Path, timeout: float = 30, variables: Mapping[str, str] = os.environ) -> None:
        self.path = path
        self._timeout = timeout
        # Inside a git hook, GIT_DIR and others point at another repository.
        kept = {name: value for name, value in variables.items() if not name.startswith("GIT_")}
        self._variables = {**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}

    def commit(self, name: str) -> str:
        """The full id of the commit that `name` (an id, a branch, a tag) means."""
        self._must_be_repository()
        found = self._try("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if found is not None:
            return found.decode().strip()
        if self._cut_off():
            raise ObserverError(
                f"{self.path} is a shallow clone, and {name} is not in it",
                _UNSHALLOW,
            )
        raise ObserverError(
            f"{self.path} has no commit {name}", f"git -C {shlex.quote(str(self.path))} fetch --all --tags"
        )

    def changes(self, but: Sequence[str] = (), below: str = ".") -> tuple[str, ...]:
        """What differs from HEAD: changed files anywhere, and files `below` that git does not know; `but` excepted."""
        self._must_be_repository()
        excepted = [f":(exclude,literal,top){file}" for file in but]
        options = ("--porcelain", "-z", "--untracked-files=no", "--no-renames")
        tracked = self._ask("status", *options, "--", ":(top)", *excepted)
        unknown = self._ask("ls-files", "-z", "--others", "--exclude-standard", "--", below, *excepted)
        listed = [entry[3:] for entry in _split(tracked)] + _split(unknown)
        return tuple(dict.fromkeys(listed))

    def commits(self, since: str, until: str) -> tuple[Commit, ...]:
        """The commits of `until` that are not in `since` (full ids), newest first, without merges."""
        listed = self._ask("log", "--no-merges", "-z", "--format=%H%n%s%n%b", f"{since}..{until}", "--")
        self._must_be_whole(since, until)
        return tuple(_commit(entry) for entry in _split(listed))

    def commits_touching(self, path: str, since: str, until: str) -> frozenset[str]:
        """The ids of those commits that change `path`."""
        listed = self._ask("log", "--format=%H", f"{since}..{until}", "--", f":(top,literal){path}")
        return frozenset(listed.decode().split())

    def changed_files(self, since: str, until: str, globs: Sequence[str]) -> tuple[str, ...]:
        """The files below `globs` that `until` adds or changes against `since`."""
        if not globs:
            return ()
        patterns = [f":(top,glob){glob}" for glob in globs]
        options = ("--name-only", "--no-renames", "--diff-filter=d", "-z")
        return tuple(_split(self._ask("diff", *options, since, until, "--", *patterns)))

    def text(self, commit: str, path: str) -> str | None:
        """The file `path` as of `commit`; None where it does not exist."""
        entry = self._ask("ls-tree", "-z", "--full-tree", commit, "--", path)
        if not entry:
            return None
        return self._ask("cat-file", "blob", entry.split(b"\t")[0].split()[2].decode()).decode(errors="replace")

    def search(self, words: Sequence[str], paths: Sequence[str], but: Sequence[str]) -> tuple[int, tuple[Hit, ...]]:
        """How many files there are below `paths`, and their lines that carry one of `words` as a whole word.

        An underscore ends a word: `MOCK_USERS` is found, `STUBBORN` is not. Binary files, what .gitignore names and
        the globs `but` are left out. Works without a repository too.
        """
        excepted = [f":(top,exclude,glob){glob}" for glob in ("**/__pycache__/**", *but)]
        where = ["--", *(f":(top,literal){path}" for path in paths), *excepted]
        pattern = f"(^|[^A-Za-z0-9])({'|'.join(words)})([^A-Za-z0-9]|$)"
        with self._somehow_a_repository() as git:
            listing = ("-z", "--full-name", "--cached", "--others", "--exclude-standard")
            listed = _split(self._ask(*git, "ls-files", *listing, *where))
            files = [file for file in set(listed) if (self.path / file).is_file()]
            options = ("-n", "-z", "-I", "-E", "--full-name", "--untracked", "--no-color", "-e", pattern)
            found = self._run(*git, "grep", *options, *where)
        if found.returncode not in {0, 1}:  # 1: nothing was found
            raise self._problem(found.stderr)
        lines = [[part.decode(errors="replace") for part in hit.groups()] for hit in _HIT.finditer(found.stdout)]
        return len(files), tuple(Hit(path, int(line), text) for path, line, text in lines)

    @contextmanager
    def _somehow_a_repository(self) -> Iterator[tuple[str, ...]]:
        """Options that let git read the files; an exported tree is lent an empty repository, kept elsewhere."""
        if self._try("rev-parse", "--git-dir") is not None:
            yield ()
            return
        with TemporaryDirectory(prefix="checkout-") as lent:
            self._ask("init", "--quiet", "--bare", lent)
            yield (f"--git-dir={lent}", f"--work-tree={self.path}")

    def _must_be_repository(self) -> None:
        top = Path(self._ask("rev-parse", "--show-toplevel").decode(errors="replace").strip())
        if top.resolve() != self.path.resolve():
            raise ObserverError(
                f"{self.path} lies inside the git repository {top}, and is none of its own",
                "Let checkout.path name the top of the service's clone.",
            )

    def _must_be_whole(self, since: str, until: str) -> None:
        """Raise where history ends between the two, so that commits may be missing unseen."""
        cut_off = self._cut_off()
        if cut_off & set(self._ask("rev-list", f"{since}..{until}", "--").decode().split()):
            raise ObserverError(
                f"{self.path} is a shallow clone: its history ends before it reaches {since[:7]}",
                _UNSHALLOW,
            )

    def _cut_off(self) -> set[str]:
        """The commits whose parents the clone does not have."""
        file = self.path / self._ask("rev-parse", "--git-path", "shallow").decode().strip()
        return set(file.read_text(encoding="ascii").split()) if file.is_file() else set()

    def _try(self, *arguments: str) -> bytes | None:
        asked = self._run(*arguments)
        return asked.stdout if asked.returncode == 0 else None

    def _ask(self, *arguments: str) -> bytes:
        asked = self._run(*arguments)
        if asked.returncode:
            raise self._problem(asked.stderr)
        return asked.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", "--no-pager", *_QUIET, "-C", str(self.path), *arguments],
                check=False,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                env=self._variables,
                timeout=self._timeout,
            )
        except FileNotFoundError:
            raise ObserverError("git is not installed here", "Install git; the checkout is read with it.") from None
        except subprocess.TimeoutExpired:
            raise ObserverError(
                f"git did not answer within {self._timeout:g} s about {self.path}", "Does its disk answer?"
            ) from None

    def _problem(self, said: bytes) -> ObserverError:
        words = said.decode(errors="replace").strip()
        place = shlex.quote(str(self.path.resolve()))
        if "dubious ownership" in words:
            return ObserverError(
                f"{self.path} belongs to another user, and git refuses to read it",
                f"git config --global --add safe.directory {place}",
            )
        if "not a git repository" in words:
            return ObserverError(
                f"{self.path} is not a git repository, so nothing tells which commit it is",
                "Let checkout.path name a clone (git clone, actions/checkout), not an export.",
            )
        if not self.path.is_dir():
            return ObserverError(f"there is no directory {self.path}", "Mend checkout.path in deployment.toml.")
        return ObserverError(f"git cannot read {self.path}: {words[:300]}", f"git -C {place} status says more.")


def _split(listed: bytes) -> list[str]:
    return [entry.decode(errors="replace") for entry in listed.split(b"\0") if entry]


def _commit(text: str) -> Commit:
    sha, _, rest = text.partition("\n")
    subject, _, body = rest.partition("\n")
    return Commit(sha.strip(), subject, body.strip())
