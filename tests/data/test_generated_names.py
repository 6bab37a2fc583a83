import re

import pytest

from faqnas_optuna.data.generated_names import DEFINITIONS, Recipe
from faqnas_optuna.errors import DataError

NAMES = list(DEFINITIONS)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("two-curves", "two-curves"),
        ("two-curves:features=10,samples=300,degree=5,offset=0.1,noise=0.01,seed=0", "two-curves"),
        ("two-curves:samples=400,features=20", "two-curves:features=20,samples=400"),
        ("two-curves: samples = 0400 , features=20", "two-curves:features=20,samples=400"),
        ("two-curves:offset=1.0", "two-curves:offset=1"),
        ("two-curves:offset=.50,noise=-0", "two-curves:offset=0.5,noise=0"),
        ("two-curves:noise=1e-2,degree=8", "two-curves:degree=8"),
        # A value that equals the default derived from another key is not part of the name; other values are.
        ("two-curves:degree=8,offset=0.0625", "two-curves:degree=8"),
        ("two-curves:degree=8,offset=0.1", "two-curves:degree=8,offset=0.1"),
        ("linearly-separable:features=35,margin=0.7", "linearly-separable:features=35"),
        ("spirals:features=110,noise=0.43", "spirals:features=110"),
        ("spirals:samples=20", "spirals:samples=20"),
        ("bars-and-stripes:width=8,height=4", "bars-and-stripes:width=8"),
        ("hidden-manifold:seed=4294967295", "hidden-manifold:seed=4294967295"),
    ],
)
def test_equal_data_have_one_name(text: str, name: str) -> None:
    recipe = Recipe.read(text)
    assert recipe.name == name
    assert Recipe.read(name) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("two-curve", "no generated data set is named 'two-curve': did you mean 'two-curves'?"),
        ("two-curves:", "two-curves: parameters must be written NAME=NUMBER,…; '' is not"),
        ("two-curves:features", "two-curves: parameters must be written NAME=NUMBER,…; 'features' is not"),
        ("two-curves:features=3,", "two-curves: parameters must be written NAME=NUMBER,…; '' is not"),
        ("two-curves:feature=3", "two-curves: unknown parameter 'feature': did you mean 'features'?"),
        ("two-curves:classes=3", "unknown parameter 'classes'; choose from features, samples, degree, offset, noise, seed"),
        ("bars-and-stripes:features=16", "unknown parameter 'features'; choose from samples, height, width, noise, seed"),
        ("two-curves:seed=1,seed=1", "two-curves: seed is given twice; remove one of them"),
        ("two-curves:features=1", "two-curves: features is a whole number from 2 to 1,000; it is '1'"),
        ("two-curves:features=1001", "features is a whole number from 2 to 1,000; it is '1001'"),
        ("two-curves:features=2.5", "features is a whole number from 2 to 1,000; it is '2.5'"),
        ("two-curves:samples=", "samples is a whole number from 20 to 100,000; it is ''"),
        ("two-curves:noise=nan", "noise is a number from 0 to 10; it is 'nan'"),
        ("two-curves:noise=1e999", "noise is a number from 0 to 10; it is '1e999'"),
        ("two-curves:noise=-0.1", "noise is a number from 0 to 10; it is '-0.1'"),
        ("two-curves:seed=4294967296", "seed is a whole number from 0 to 4,294,967,295"),
        ("linearly-separable:features=12,margin=3.1", "margin is a number from 0 to 3; it is '3.1'"),
        ("spirals:samples=49,classes=5", "classes is a whole number from 2 to 4; it is '5'"),
        ("two-curves:features=1000,samples=100000", "100,000 samples of 1,000 features have more than 10,000,000 values; use"),
    ],
)
def test_what_no_data_can_be_made_of_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as refused:
        Recipe.read(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_the_key_seed_alone_decides_what_is_drawn(name: str) -> None:
    first, again, other = (Recipe.read(f"{name}:samples=100{seed}").make() for seed in ("", ",seed=0", ",seed=1"))
    assert all(first[key].tobytes() == again[key].tobytes() for key in first)
    assert first["x"].tobytes() != other["x"].tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_knows_what_it_makes(name: str) -> None:
    recipe = Recipe.read(f"{name}:samples=101")
    raw = recipe.make()
    assert raw["x"].shape == (recipe.samples, recipe.features) == (101, len(raw["columns"]))
    assert raw["classes"].tolist() == list(recipe.classes)
    assert sorted(set(raw["y"])) == list(range(len(recipe.classes)))
    # Values are rounded, so that rounding errors of a platform do not change the bytes.
    assert (raw["x"] * (1 + 1e-15)).round(6).tobytes() == raw["x"].tobytes()


def test_the_defaults_follow_from_the_other_keys() -> None:
    def value_of(name: str, key: str) -> object:
        return Recipe.read(name).values[key]

    # From the code of arXiv 2403.07059, and from arXiv 2412.04991.
    assert [value_of(f"linearly-separable:features={count}", "margin") for count in (2, 15, 20)] == [0.04, 0.3, 0.4]
    assert [value_of(f"two-curves:degree={degree}", "offset") for degree in (2, 5, 20)] == [0.25, 0.1, 0.025]
    assert [value_of(f"spirals:features={count}", "noise") for count in (10, 110)] == [0.13, 0.43]
