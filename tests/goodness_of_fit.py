"""Whether draws come from a distribution that is known."""

import numpy as np
from scipy import stats


def chi_square_p_value(counts, probabilities):
    """The p-value of Pearson's chi-square test, of how often each outcome was drawn."""
    expected = probabilities * counts.sum()
    # The test's approximation wants five of a kind; rarer ones are counted as one.
    rare = expected < 5
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    statistic = ((counts - expected) ** 2 / np.maximum(expected, 1e-9)).sum()
    return stats.chi2.sf(statistic, len(counts) - 1)
