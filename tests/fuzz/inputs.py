"""How many inputs each target of the fuzzing gets, and how more of them are asked for.

``FUZZ_TIMES=50`` tries fifty times as many, other ones at every run; what fails is printed so that it can be
run again. Without it the inputs are the same at every run.

Hypothesis makes all of them, and no coverage-guided fuzzer beside it: Atheris has wheels for Linux on x86-64 only,
its newest release none for CPython 3.11, and who runs these tests elsewhere would have to build it with Clang.
"""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

#: in the ordinary run 1
TIMES: Final = int(os.environ.get("FUZZ_TIMES", "1"))

#: what the tests of a module may take, each
patient: Final = pytest.mark.timeout(120 * TIMES)


def inputs(count: int) -> settings:
    """As many inputs as stated, and ``FUZZ_TIMES`` as many when that is set."""
    return settings(
        max_examples=count * TIMES,
        derandomize=TIMES == 1,
        # one input may meet a child process that has to be started anew
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
