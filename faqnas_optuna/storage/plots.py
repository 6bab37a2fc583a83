"""Plots of a study in the format in which optuna-dashboard stores user-defined plots.

`optuna_dashboard.save_plotly_graph_object` writes each piece in a transaction of its own: a reader in between, or any reader
after a crash, would find pieces of two plots. Here all pieces are replaced in one transaction.
"""

from collections.abc import Mapping
from typing import Any

from optuna import Study
from sqlalchemy import delete, or_

from faqnas_optuna.storage.bulk_trials import insert_attributes, replace_attributes
from faqnas_optuna.storage.opening import backend
from faqnas_optuna.storage.optuna_internals import NOT_FOUND, STUDY_SYSTEM_ATTRS, study_id_of
from faqnas_optuna.storage.trial_writing import LOCK_STUDY

PREFIX = "dashboard:plot_data:"
"""Beginning of the names of system attributes with plots; the id of the plot and the number of the piece follow."""
PIECE_LENGTH = 2045
"""Characters of a piece, by which optuna-dashboard cuts plots."""


def replace_plots(study: Study, plots: Mapping[str, str], attributes: Mapping[str, Any]) -> None:
    """Replace plots of a study, and set attributes of the study, in one transaction.

    Args:
        plots: Plots as Plotly's JSON by id, which consists of letters, digits and hyphens.
        attributes: User attributes of the study, which replace those of the same names.

    Raises:
        KeyError: The study was deleted.
    """
    # optuna-dashboard joins the pieces of a plot in the order of their numbers.
    study_id = study_id_of(study)
    columns = STUDY_SYSTEM_ATTRS.c
    pieces = {
        f"{PREFIX}{plot}:{start // PIECE_LENGTH}": text[start : start + PIECE_LENGTH]
        for plot, text in plots.items()
        for start in range(0, len(text), PIECE_LENGTH)
    }
    with backend(study).engine.begin() as connection:
        # Two workers that insert the same names would otherwise violate their uniqueness.
        if connection.scalar(LOCK_STUDY, {"study_id": study_id}) is None:
            raise KeyError(NOT_FOUND)
        # The former plots may have more pieces.
        are_pieces = or_(*(columns.key.startswith(f"{PREFIX}{plot}:", autoescape=True) for plot in plots))
        connection.execute(delete(STUDY_SYSTEM_ATTRS).where(columns.study_id == study_id, are_pieces))
        insert_attributes(connection, STUDY_SYSTEM_ATTRS, study_id, pieces)
        replace_attributes(connection, study_id, attributes)
