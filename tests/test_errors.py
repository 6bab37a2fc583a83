import re

from faqnas_optuna import errors
from faqnas_optuna.errors import FaqnasError


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"(\w+Error) +(\d)  \w", errors.__doc__ or "")
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, FaqnasError)]
    assert dict(drawn) == {cls.__name__: str(cls.exit_code) for cls in classes}
    assert len(drawn) == len(classes)
