"""Collection of all problems of a data set, so that one run reports them together."""

from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from faqnas_optuna.errors import DataError

MOST_LISTED = 12
"""Problems that one message spells out."""


class Problems:
    """Errors that were met while a data set was read.

    Args:
        source: name of the file or data set, which begins the message.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._messages: list[str] = []
        self._droppable: list[str] = []

    @contextmanager
    def collected(self, column: str | None = None, *, droppable: bool = True) -> Iterator[None]:
        """Keep a `DataError` of the block for later.

        Args:
            column: the column that the error is about, to be named in front of it.
            droppable: whether the column may be left out instead.
        """
        try:
            yield
        except DataError as error:
            self._messages.append(str(error) if column is None else f"column {column!r} {error}")
            if column is not None and droppable:
                self._droppable.append(column)

    def check(self) -> None:
        """Refuse the data if there was any problem.

        Raises:
            DataError: names every problem, and the columns that could be left out.
        """
        if not self._messages:
            return
        listed = self._messages[:MOST_LISTED]
        if more := len(self._messages) - len(listed):
            listed.append(f"and {more} more problems")
        if self._droppable:
            options = " ".join(f"--drop {quote(name)}" for name in self._droppable[:MOST_LISTED])
            listed.append(f"columns are left out with {options}")
        raise DataError(f"{self._source}: {'; '.join(listed)}")
