"""What probes and fixtures are given by name: clients, settings, and what the run was told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Generic, Self, TypeVar, cast, overload

T = TypeVar("T")
R = TypeVar("R", bound="Resources")


class Resources:
    """What probes and fixtures are given by name: each method marked `@resource` is called once, when first asked for.

    Whichever threads ask at once, they are given the same.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()  # one for all: they need each other
        self.built: dict[str, object] = {}

    def get(self, name: str) -> object:
        """The resource `name`. Raises what building it raises, and KeyError for an unknown name."""
        if not isinstance(getattr(type(self), name, None), resource):
            raise KeyError(name)
        return getattr(self, name)

    def close(self) -> None:
        """Close those that were built and can be closed."""
        for built in list(self.built.values()):  # a probe that still runs may add one
            close = getattr(built, "close", None)
            if callable(close):
                close()


class ReplacedResources(Resources):
    """The resources of `base`, but for those in `replaced`."""

    def __init__(self, base: Resources, replaced: Mapping[str, object]) -> None:
        super().__init__()
        self._base = base
        self._replaced = replaced

    def get(self, name: str) -> object:
        """The resource `name`. Raises as that of the base does."""
        return self._replaced[name] if name in self._replaced else self._base.get(name)


class resource(Generic[R, T]):  # noqa: N801  (a decorator)
    """Marks a method of `Resources`, which is then read like an attribute.

    functools.cached_property has a lock for each method, up to Python 3.11: two threads could wait for each other.
    """

    def __init__(self, build: Callable[[R], T]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...

    @overload
    def __get__(self, holder: R, owner: type) -> T: ...

    def __get__(self, holder: R | None, owner: type) -> Self | T:
        if holder is None:
            return self
        name = self._build.__name__
        with holder.lock:
            if name not in holder.built:
                holder.built[name] = self._build(holder)
            return cast("T", holder.built[name])
