"""Collection of all errors in a data set, so that one run reports them together."""

from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from faqnas_optuna.errors import DataError

MAX_LISTED = 12
"""Maximum number of errors that a message lists."""


class Problems:
    """Collector of the errors that occur while a data set is read.

    Args:
        source: Name of the file or data set, with which the message begins.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._messages: list[str] = []
        self._droppable: list[str] = []

    @contextmanager
    def collected(self, column: str | None = None, *, droppable: bool = True) -> Iterator[None]:
        """Catch a `DataError` of the block and keep it for `check`.

        Args:
            column: Name of the column that causes the error, to be prefixed to the message.
            droppable: Whether leaving the column out would solve the problem.
        """
        try:
            yield
        except DataError as error:
            self._messages.append(str(error) if column is None else f"column {column!r} {error}")
            if column is not None and droppable:
                self._droppable.append(column)

    def check(self) -> None:
        """Raise one error for all collected errors, if there are any.

        Raises:
            DataError: An error was collected; the message lists the errors and the columns that could be left out.
        """
        if not self._messages:
            return
        listed = self._messages[:MAX_LISTED]
        more = len(self._messages) - len(listed)
        if more:
            listed.append(f"and {more} more problems")
        if self._droppable:
            # Quoted for a shell, so that the options can be copied.
            options = " ".join(f"--drop {quote(name)}" for name in self._droppable[:MAX_LISTED])
            listed.append(f"columns are left out with {options}")
        raise DataError(f"{self._source}: {'; '.join(listed)}")
