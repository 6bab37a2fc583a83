"""Fitting of a preprocessing on the training part, with scikit-learn.

The result holds only the fitted numbers, not scikit-learn's objects: it can be stored as JSON and applied with numpy alone.
"""

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.preprocessing import Category, Numbers, Preprocessing, Projection, RawFeatures
from faqnas_optuna.errors import DataError


def fit(train: RawFeatures, *, numbers: tuple[str, ...], categories: tuple[str, ...], pca: int | None) -> Preprocessing:
    """Fit a preprocessing on the training part.

    Missing numbers are replaced by the median and missing texts by the most frequent text. Numbers are standardised and texts
    are one-hot encoded.

    Args:
        numbers: Names of the numeric columns.
        categories: Names of the categorical columns.
        pca: Number of whitened principal components that replace the features; None to keep the features.

    Raises:
        DataError: There are fewer features or samples than components.
    """
    fitted = Preprocessing(
        numbers=_fit_numbers(numbers, train.numbers),
        categories=tuple(_fit_category(name, train.texts[:, [place]]) for place, name in enumerate(categories)),
    )
    return fitted if pca is None else project(fitted, train, pca)


def project(fitted: Preprocessing, train: RawFeatures, components: int) -> Preprocessing:
    """Return a preprocessing whose features are replaced by whitened principal components.

    Args:
        fitted: Preprocessing without a projection.
        train: Training samples, on which the components are fitted.
        components: Number of components.

    Raises:
        DataError: There are fewer features or samples than components.
    """
    from sklearn.decomposition import PCA

    features = fitted.features(train)
    most = min(features.shape)
    if components > most:
        samples, width = features.shape
        raise DataError(f"--pca {components} is too large for {samples:,} samples of {width:,} features; use at most {most}")
    # This solver is deterministic, and fast for tables with many more samples than features.
    pca = PCA(n_components=components, svd_solver="covariance_eigh").fit(features)
    deviations = np.sqrt(pca.explained_variance_)
    # A component without variance holds only rounding errors. Dividing by their deviation would scale them up to 1.
    deviations[deviations <= deviations.max(initial=0) * 1e-7] = 1.0
    projection = Projection(means=pca.mean_, components=pca.components_, deviations=deviations)
    return Preprocessing(numbers=fitted.numbers, categories=fitted.categories, projection=projection)


def _fit_numbers(names: tuple[str, ...], numbers: NDArray[np.float64]) -> Numbers:
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    if not names:
        # scikit-learn refuses to fit an array without columns.
        empty = np.empty(0)
        return Numbers(names=(), fills=empty, means=empty, deviations=empty, lowest=empty, highest=empty)
    # Every column has a value here: `SimpleImputer` would drop a column without any.
    imputer = SimpleImputer(strategy="median").fit(numbers)
    # Deviations include the filled values, as they do when the preprocessing is applied.
    scaler = StandardScaler().fit(imputer.transform(numbers))
    return Numbers(
        names=names,
        fills=imputer.statistics_,
        means=scaler.mean_,
        deviations=scaler.scale_,
        lowest=np.nanmin(numbers, axis=0),
        highest=np.nanmax(numbers, axis=0),
    )


def _fit_category(name: str, texts: NDArray[np.object_]) -> Category:
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    imputer = SimpleImputer(strategy="most_frequent", missing_values=None).fit(texts)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(imputer.transform(texts))
    return Category(name=name, fill=str(imputer.statistics_[0]), values=tuple(map(str, encoder.categories_[0])))
