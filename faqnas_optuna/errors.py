"""Every error that a user can cause or meet, each with the exit code of the command that ends with it.

    FaqnasError                     1  failure
    ├── GenomeError                 2  a genome outside the space
    ├── ConfigError                 2  an option or a line of a study file
    ├── ParameterError              2  a parameter of a scikit-learn estimator
    ├── DataError                   2  a data set that is unknown, absent or unusable
    ├── OutputError                 2  a file that cannot be written
    ├── StudyNotFoundError          2  no such study or trial in this storage
    ├── StudyMismatchError          3  the stored study differs from what was asked for
    │   └── DamagedStudyError       3  the stored study is not what was written
    ├── StorageError                4  the database cannot be used
    │   ├── StorageBusyError        4  another process keeps a lock
    │   └── NoStudiesError          4  there is no database yet, or none that ever held a study
    ├── ClusterError                4  the Dask cluster cannot be used
    ├── NoSuccessfulTrialError      5  there is nothing to show
    ├── FailingWorkerError          1  every trial fails here, and others go on
    ├── FailuresError               1  a study stopped because trial after trial failed
    ├── PlatformError               1  the operating system, or a limit that it sets, rules this out
    ├── WorkerDiedError             1  a process that worked for this one is gone
    └── TrainingError               1  a candidate could not be trained; its trial fails, the study goes on

A message states the rule, the value and the fix, in one line. Where the fix is a command of ours, the error has it beside its
message: only the command line knows which of its options must be repeated.
"""

LONGEST_REASON = 300
"""Characters of what a library says about damaged data."""


class FaqnasError(Exception):
    """Base of all errors that are reported as one line.

    Args:
        message: what it says; if there is a command, up to that.
        command: what to type after `faqnas-optuna`.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, command: str | None = None) -> None:
        super().__init__(message)
        self.command = command

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}: faqnas-optuna {self.command}" if self.command else message


class GenomeError(FaqnasError):
    """A gene is missing, unknown, or has a value outside the search space."""

    exit_code = 2


class ConfigError(FaqnasError):
    """An option or a setting of a study file is wrong."""

    exit_code = 2


class ParameterError(FaqnasError, ValueError):
    """A parameter of an estimator is wrong, which scikit-learn's tools expect to be a `ValueError`."""

    exit_code = 2


class DataError(FaqnasError):
    """A data set is unknown, not there, or cannot be used."""

    exit_code = 2


class OutputError(FaqnasError):
    """A file that was asked for cannot be written."""

    exit_code = 2


class StudyNotFoundError(FaqnasError):
    """The storage holds no such study, or the study no such trial."""

    exit_code = 2


class StudyMismatchError(FaqnasError):
    """The stored study differs from what was asked for."""

    exit_code = 3


class DamagedStudyError(StudyMismatchError):
    """The database holds something of the study that this package does not write, or lacks a part of it."""

    @classmethod
    def of(cls, study: str, reason: str) -> "DamagedStudyError":
        """Return the error for a study, by name.

        Args:
            reason: the part that is damaged and how, without a full stop.
        """
        # SQLAlchemy and pydantic say more than a line.
        return cls(
            f"study {study!r} is damaged in the database: {' '.join(reason.split())[:LONGEST_REASON]}; put a backup of the"
            f" database in its place, or delete the study with: optuna delete-study --study-name {study} --storage URL"
        )


class StorageError(FaqnasError):
    """The database cannot be reached, opened or written."""

    exit_code = 4


class StorageBusyError(StorageError):
    """Another process keeps a lock of the storage for longer than it should."""


class NoStudiesError(StorageError):
    """There is no database yet, or there are no tables of studies in it."""


class ClusterError(FaqnasError):
    """The Dask cluster cannot be reached, or does no work."""

    exit_code = 4


class NoSuccessfulTrialError(FaqnasError):
    """No trial of the study has succeeded."""

    exit_code = 5


class FailingWorkerError(FaqnasError):
    """Trial after trial has failed on this worker, but not, or not yet, on others."""


class FailuresError(FaqnasError):
    """A study has stopped because trial after trial failed."""


class PlatformError(FaqnasError):
    """The operating system is not supported, or a limit that it sets for processes is too narrow."""


class WorkerDiedError(FaqnasError):
    """A process that this one has started has ended within its work."""


class TrainingError(FaqnasError):
    """A candidate could not be trained, for instance because its loss is not finite."""


class DataWarning(UserWarning):
    """Data that can be used and are suspicious, in one line that names the fix."""
