"""Every error that a user can cause or meet, each with the exit code of the command that ends with it.

    FaqnasError                     1  failure
    ├── GenomeError                 2  a genome outside the space
    ├── ConfigError                 2  an option or a line of a study file
    ├── ParameterError              2  a parameter of a scikit-learn estimator
    ├── DataError                   2  a data set that is unknown, absent or unusable
    ├── OutputError                 2  a file that cannot be written
    ├── StudyNotFoundError          2  no such study or trial in this storage
    ├── StudyMismatchError          3  the stored study differs from the requested one
    │   └── DamagedStudyError       3  the stored study is damaged
    ├── StorageError                4  the database cannot be used
    │   ├── StorageBusyError        4  another process holds a lock
    │   └── NoStudiesError          4  there is no database, or none with studies
    ├── ClusterError                4  the Dask cluster cannot be used
    ├── NoSuccessfulTrialError      5  no trial has succeeded
    ├── FailingWorkerError          1  all trials fail on this worker but not on others
    ├── FailuresError               1  a study stopped after several failed trials in a row
    ├── StudyStoppedError           1  a user or a time limit stopped a study whose end is awaited
    ├── PlatformError               1  unsupported operating system, or a limit of it
    ├── WorkerDiedError             1  a child process died
    └── TrainingError               1  a candidate could not be trained; its trial fails, the study goes on

A message states the rule, the value and the fix, in one line. If the fix is a command of this program, the error holds it
beside the message, because only the command line knows which options must be repeated.
"""

LONGEST_REASON = 300
"""Maximum number of characters of a library's message about damaged data."""


class FaqnasError(Exception):
    """Base of all errors that are reported as one line.

    Args:
        message: Text of the error, which a command may follow.
        command: Command that fixes it, as typed after `faqnas-optuna`.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, command: str | None = None) -> None:
        super().__init__(message)
        self.command = command

    # Joined here and not in the constructor: the command line first adds options, such as the storage, to the command.
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
    """A data set is unknown, absent or unusable."""

    exit_code = 2


class OutputError(FaqnasError):
    """A file cannot be written."""

    exit_code = 2


class StudyNotFoundError(FaqnasError):
    """The storage holds no such study, or the study no such trial."""

    exit_code = 2


class StudyMismatchError(FaqnasError):
    """The stored study differs from the requested one."""

    exit_code = 3


class DamagedStudyError(StudyMismatchError):
    """The stored study has a part that this package does not write, or lacks one."""

    @classmethod
    def of(cls, study: str, reason: str) -> "DamagedStudyError":
        """Return the error for a study, by name.

        Args:
            reason: Damaged part and kind of damage, without a full stop.
        """
        # Messages of SQLAlchemy and pydantic have several lines.
        return cls(
            f"study {study!r} is damaged in the database: {' '.join(reason.split())[:LONGEST_REASON]}; restore a backup of the"
            f" database, or delete the study with: optuna delete-study --study-name {study} --storage URL"
        )


class StorageError(FaqnasError):
    """The database cannot be reached, opened or written."""

    exit_code = 4


class StorageBusyError(StorageError):
    """Another process holds a lock of the storage for too long."""


class NoStudiesError(StorageError):
    """The database does not exist yet, or has no tables of studies."""


class ClusterError(FaqnasError):
    """The Dask cluster cannot be reached, or does no work."""

    exit_code = 4


class NoSuccessfulTrialError(FaqnasError):
    """No trial of the study has succeeded."""

    exit_code = 5


class FailingWorkerError(FaqnasError):
    """Several trials in a row failed on this worker, while other workers go on."""


class FailuresError(FaqnasError):
    """A study stopped because several trials in a row failed."""


class StudyStoppedError(FaqnasError):
    """A user or a time limit stopped a study whose end is awaited."""


class PlatformError(FaqnasError):
    """The operating system is not supported, or one of its limits for processes is too low."""


class WorkerDiedError(FaqnasError):
    """A child process ended before its work was done."""


class TrainingError(FaqnasError):
    """A candidate could not be trained, for instance because its loss is not finite."""


class DataWarning(UserWarning):
    """Usable but suspicious data; the message names the fix."""
