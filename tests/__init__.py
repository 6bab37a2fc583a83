import pytest

# Their assertions too are to show what they compare.
pytest.register_assert_rewrite("tests.support.crew", "tests.support.jepsen")
