"""Entry point of `python -m studies.proxies`."""

from typing import TYPE_CHECKING

from faqnas_optuna.__main__ import main

if TYPE_CHECKING:
    from click import Command


def load_command() -> "Command":
    """Import the command, which the entry point does after setting the number of threads."""
    from studies.proxies.command import proxies

    return proxies


if __name__ == "__main__":
    main(load_command, "python -m studies.proxies")
