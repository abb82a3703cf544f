"""What all endpoints of GitHub's REST API have in common: errors, pages and how bodies are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from starlette.responses import JSONResponse, Response

from sandbox.github.model import REPOSITORY
from sandbox.vendor_api import Json, Refusal, json_object

if TYPE_CHECKING:
    from starlette.requests import Request

Item = TypeVar("Item")
Given = TypeVar("Given")

WEB = f"https://github.com/{REPOSITORY}"
_DOCUMENTATION = "https://docs.github.com/rest"
_DEFAULT_PAGE, _MAX_PAGE = 30, 100


class GitHubRefusal(Refusal):
    """An answer other than 2xx in GitHub's form."""

    def __init__(
        self, status: int, message: str, errors: list[Json] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        body: dict[str, Json] = {"message": message, "documentation_url": _DOCUMENTATION, "status": str(status)}
        super().__init__(status, body | ({"errors": errors} if errors else {}), headers)


def not_found() -> GitHubRefusal:
    """What is not there, or not for the caller to see."""
    return GitHubRefusal(404, "Not Found")


def known(item: Item | None) -> Item:
    """What was asked for. Raises GitHubRefusal, 404, where there is none."""
    if item is None:
        raise not_found()
    return item


def invalid(resource: str, field: str, code: str = "invalid", message: str = "") -> GitHubRefusal:
    """A 422 that points at one field."""
    error: dict[str, Json] = {"resource": resource, "code": code, "field": field}
    return GitHubRefusal(422, "Validation Failed", [error | ({"message": message} if message else {})])


@dataclass(frozen=True, slots=True)
class Body:
    """The JSON object that came with a request, to be written into a resource of this name."""

    resource: str
    values: dict[str, object]

    def get(self, field: str, kind: type[Given], default: Given) -> Given:
        """A field of that type. Raises GitHubRefusal, 422, for another type; null is the default."""
        value = self.values.get(field)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise invalid(self.resource, field)
        return value

    def text(self, field: str, default: str = "", *, most: int = 0, required: bool = False) -> str:
        """A text of `most` characters. Raises GitHubRefusal, 422."""
        text = self.get(field, str, default)
        if required and not text:
            raise invalid(self.resource, field, "missing_field")
        if most and len(text) > most:
            message = f"{field} is too long (maximum is {most} characters)"
            raise invalid(self.resource, field, "custom", message)
        return text


async def read_body(request: Request, resource: str) -> Body:
    """The body of a request. Raises GitHubRefusal, 400."""
    unparsable = GitHubRefusal(400, "Problems parsing JSON")
    return Body(resource, await json_object(request, unparsable, GitHubRefusal(400, "Body should be a JSON object")))


def url(request: Request, path: str = "") -> str:
    """The address of something of the repository, as the API names it."""
    return f"{request.base_url}repos/{REPOSITORY}{path}"


def user(login: str) -> dict[str, Json]:
    """Who did something."""
    return {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}


def page(request: Request, items: Sequence[Item], show: Callable[[Request, Item], Json], key: str = "") -> Response:
    """One page of the items, and the Link header that leads to the others, if there are any.

    With a `key` the answer is an object that has them there, and the number of all.
    """
    size = min(_number(request, "per_page", _DEFAULT_PAGE), _MAX_PAGE)
    number = _number(request, "page", 1)
    last = max(1, -(-len(items) // size))
    links = [("prev", number - 1), ("first", 1)] if number > 1 else []
    links += [("next", number + 1), ("last", last)] if number < last else []
    header = ", ".join(f'<{request.url.include_query_params(page=page)}>; rel="{name}"' for name, page in links)
    shown: list[Json] = [show(request, item) for item in items[(number - 1) * size : number * size]]
    body: Json = {"total_count": len(items), key: shown} if key else shown
    return JSONResponse(body, headers={"Link": header} if header else {})


def _number(request: Request, name: str, default: int) -> int:
    # What is no sensible number is taken as if it were not there.
    text = request.query_params.get(name, "")
    return int(text) if text.isdigit() and int(text) > 0 else default
