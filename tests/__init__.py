import gc
import os

import pytest

from faqnas_optuna.__main__ import COLLECT_EVERY, THREAD_VARIABLES

# torch and NumPy read this when they are imported. Tests run in parallel, so each uses one thread.
os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
# The program sets the same threshold, because of the many objects that its imports create.
gc.set_threshold(COLLECT_EVERY)
# Failed assertions in these modules show the compared values too.
pytest.register_assert_rewrite("tests.support.crew", "tests.support.jepsen")
