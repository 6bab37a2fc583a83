import gc
import os

import pytest

from faqnas_optuna.__main__ import COLLECT_EVERY, THREAD_VARIABLES

# Before torch and NumPy are loaded, which read it then: a test uses one thread, as many tests run beside each other.
os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
# As the program does, for what its imports make.
gc.set_threshold(COLLECT_EVERY)
# Their assertions too are to show what they compare.
pytest.register_assert_rewrite("tests.support.crew", "tests.support.jepsen")
