"""Compressors of packages that are installed here, checked as those of gcodec are.

This is for whoever writes one: `pip install YOUR_PACKAGE`, and then in a checkout of gcodec `python
-m pytest tests/test_installed.py`. Without such a package there is nothing to check.
"""

import checks
import pytest
import test_contract
import test_promise

from gcodec.compressors import registry
from gcodec.compressors.plugins import FIRST_ID

FOREIGN = [entry for entry in registry.entries() if entry.id >= FIRST_ID]
CASES = [
    pytest.param(entry.name, kind, bound, id=f"{entry.name}-{kind}-{bound}")
    for entry in FOREIGN
    for kind in entry.load().kinds
    for bound in checks.BOUNDS[kind]
]
of_each = pytest.mark.parametrize(("method", "kind", "bound"), CASES)


@of_each
@pytest.mark.parametrize("dtype", test_promise.FLOATS)
def test_the_promise(method, kind, bound, dtype):
    """For arrays of odd sizes and values. A miss, which gcodec mends with a warning, fails too."""
    test_promise.test_promise(method, kind, bound, dtype)


@of_each
def test_payloads_that_are_damaged(method, kind, bound):
    test_promise.test_corrupt_payloads(method, kind, bound)


@of_each
def test_verify(method, kind, bound):
    for x in (test_contract.X, test_contract.X[:, 0]):
        test_contract.test_an_honest_file_is_verified(method, kind, bound, x)


@of_each
def test_its_upper_bound_and_its_options(method, kind, bound):
    test_contract.test_the_upper_bound_is_kept(method, kind, bound)
    if kind != "exact":
        test_contract.test_options_of_messages(method, kind, bound, 30)


@pytest.mark.parametrize(("method", "kind", "bound"), [case for case in CASES if case.values[1] == "omega"])
def test_another_seed(method, kind, bound):
    test_contract.test_encoding_again_with_another_seed(method, kind, bound)
