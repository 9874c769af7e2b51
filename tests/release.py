"""Slow cases that are tested before a release alone, since other cases cover their mechanism."""

import pytest

BEFORE_A_RELEASE = [pytest.mark.slow, pytest.mark.release]


def slow_cases(cases, *chosen):
    """All cases as parameters: the chosen ones are slow, and the others wait for a release."""
    assert set(chosen) <= set(cases)
    return [
        pytest.param(case, marks=[pytest.mark.slow] if case in chosen else BEFORE_A_RELEASE)
        for case in cases
    ]
