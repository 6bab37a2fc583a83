"""A small study, run when this module is imported.

The process from which workers are forked imports it, so that the set-up of Optuna, SQLAlchemy and others at their first use is
done only once.
"""

from tempfile import TemporaryDirectory

import optuna

from faqnas_optuna.config import SearchConfig, StudyConfig
from faqnas_optuna.data import named
from faqnas_optuna.signals import Signals
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import create
from faqnas_optuna.workers.loop import run
from tests.support.studies import cheap


def _run_small_study() -> None:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    config = StudyConfig(dataset="iris", search=SearchConfig(population=2, generations=2))
    iris = named.load("iris", seed=0)
    with TemporaryDirectory(prefix="faqnas-") as directory:
        storage = open_storage(f"sqlite:///{directory}/faqnas.db", create=True)
        run(create(storage, "warm-up", config, iris), iris, Signals(), on_trial=lambda _: None, evaluate=cheap)


_run_small_study()
