"""The settings of pytest: a deprecated call in a module of the package fails the test that reaches it."""

from __future__ import annotations

import warnings

import pytest


@pytest.mark.parametrize("category", [DeprecationWarning, PendingDeprecationWarning])
@pytest.mark.parametrize("module", ["sp500tui", "sp500tui.storage.batch_codec"])
def test_a_deprecated_call_of_our_own_is_an_error(category: type[Warning], module: str) -> None:
    with pytest.raises(category):
        warnings.warn_explicit("old", category, f"{module}.py", 1, module=module)


def test_a_deprecated_call_inside_a_library_is_none() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.warn_explicit("old", DeprecationWarning, "yfinance.py", 1, module="yfinance.base")
        warnings.warn_explicit("old", DeprecationWarning, "sp500tuition.py", 1, module="sp500tuition")
    assert len(caught) == 2
