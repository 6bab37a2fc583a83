"""The program: runs the command line, and turns every known error into one line and its exit code."""

import os
import sys
from typing import NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from faqnas_optuna.cli import cli
from faqnas_optuna.errors import FaqnasError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def main() -> NoReturn:
    """Run `faqnas-optuna` with the arguments of this process."""
    for variable in THREAD_VARIABLES:
        # Before torch starts its threads: a worker is a process of one thread.
        os.environ.setdefault(variable, "1")
    try:
        code = cli.main(prog_name="faqnas-optuna", standalone_mode=False)
    except NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except (FaqnasError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        code = _fail(message, error.exit_code)
    except OSError as error:
        code = _fail(f"{error.strerror or error}: {error.filename or 'standard output'}", 1)
    except (click.Abort, KeyboardInterrupt):
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> int:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    return code


if __name__ == "__main__":
    main()
