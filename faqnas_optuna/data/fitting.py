"""Fitting a preprocessing on the training part, by scikit-learn, whose numbers are all that is kept."""

import numpy as np
from numpy.typing import NDArray

from faqnas_optuna.data.preprocessing import Category, Numbers, Preprocessing, Projection, RawFeatures
from faqnas_optuna.errors import DataError


def fit(train: RawFeatures, *, numbers: tuple[str, ...], categories: tuple[str, ...], pca: int | None) -> Preprocessing:
    """What makes features of a table, fitted on the training part.

    Missing numbers become the median, missing texts the most frequent one. Numbers are standardised, texts one-hot.

    Args:
        numbers: what the numeric columns are called.
        categories: what the categorical ones are.
        pca: so many principal components, whitened, in place of the features; None for the features themselves.

    Raises:
        DataError: there are fewer features or samples than components.
    """
    fitted = Preprocessing(
        numbers=_fit_numbers(numbers, train.numbers),
        categories=tuple(_fit_category(name, train.texts[:, [place]]) for place, name in enumerate(categories)),
    )
    return fitted if pca is None else project(fitted, train, pca)


def project(fitted: Preprocessing, train: RawFeatures, components: int) -> Preprocessing:
    """The same with principal components of its features, whitened, in place of them.

    Raises:
        DataError: there are fewer features or samples than components.
    """
    from sklearn.decomposition import PCA

    features = fitted.features(train)
    most = min(features.shape)
    if components > most:
        samples, width = features.shape
        raise DataError(
            f"--pca {components} is more than {samples:,} samples of {width:,} features have; ask for {most} at most"
        )
    pca = PCA(n_components=components, svd_solver="covariance_eigh").fit(features)
    deviations = np.sqrt(pca.explained_variance_)
    # What is left when all variance is explained is rounding, which nothing should magnify.
    deviations[deviations <= deviations.max(initial=0) * 1e-7] = 1.0
    projection = Projection(means=pca.mean_, components=pca.components_, deviations=deviations)
    return Preprocessing(numbers=fitted.numbers, categories=fitted.categories, projection=projection)


def _fit_numbers(names: tuple[str, ...], numbers: NDArray[np.float64]) -> Numbers:
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    if not names:
        empty = np.empty(0)
        return Numbers(names=(), fills=empty, means=empty, deviations=empty, lowest=empty, highest=empty)
    imputer = SimpleImputer(strategy="median").fit(numbers)
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
