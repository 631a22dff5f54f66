"""Records whose every call is repeated through a database that is away: the one place where that is done.

A call whose answer was lost may have been committed. So each writing call of a repository is one transaction that,
done again with the same arguments by the same writer, changes nothing and tells nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from deployments.store.records import Records, Repositories

Result = TypeVar("Result")


class Endure(Protocol):
    """How a call is repeated, and for how long."""

    def __call__(self, call: Callable[[], Result]) -> Result:
        """Make the call until it succeeds; raises what it raises at last, or why waiting has to end."""


class EnduringRecords(Records):
    """The same repositories, each call of which goes through `endure`. A unit of work is not repeated."""

    def __init__(self, plain: Records, endure: Endure) -> None:
        """`plain` is kept, for those who must not wait."""
        self.plain = plain
        self._engine, self._scope = plain._engine, plain._scope
        for name in vars(Repositories(self._scope)):
            setattr(self, name, EnduringRepository(getattr(plain, name), endure))


class EnduringRepository:
    """One repository, its calls repeated."""

    def __init__(self, repository: object, endure: Endure) -> None:
        self._repository, self._endure = repository, endure

    def __getattr__(self, name: str) -> Callable[..., object]:
        """A method of the repository."""
        method: Callable[..., object] = getattr(self._repository, name)
        endure = self._endure

        def enduring(*arguments: object, **named: object) -> object:
            return endure(lambda: method(*arguments, **named))

        return enduring
