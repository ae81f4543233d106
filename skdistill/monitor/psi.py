"""The population stability index of two histograms, and its quantile without drift."""

import math
from statistics import NormalDist

import numpy as np

#: Level of the quantile without drift.
NOISE_LEVEL = 0.999


def population_stability_index(live, reference):
    """Compute the PSI of two histograms over the same bins, neither all zero.

    It is ``sum_b (p_b - q_b) log(p_b / q_b)`` over the bins that hold a row of either side, with
    the live shares p and those of the reference q. Half a row is added to each of these bins on
    both sides, so that an empty one has a finite logarithm. It is the divergence of Jeffreys, "An
    Invariant Form for the Prior Probability in Estimation Problems", Proceedings of the Royal
    Society A 186 (1946), doi:10.1098/rspa.1946.0056.
    """
    used = occupied(live, reference)
    p, q = _shares(live[used]), _shares(reference[used])
    return float(((p - q) * np.log(p / q)).sum())


def psi_noise(live, reference):
    """Return the 99.9 % quantile of the PSI if nothing has drifted.

    Without drift ``PSI / (1/n + 1/m)`` has about a chi-square distribution of B - 1 degrees of
    freedom for n live and m reference rows in B bins, so its mean is ``(B - 1)(1/n + 1/m)``. The
    quantile is that of Wilson and Hilferty, "The Distribution of Chi-Square", PNAS 17 (1931),
    doi:10.1073/pnas.17.12.684; for the index see Yurdakul, "Statistical Properties of Population
    Stability Index", Western Michigan University, Dissertations 3208 (2018). Rows are treated as
    independent.
    """
    freedom = int(occupied(live, reference).sum()) - 1
    if freedom < 1:
        return 0.0
    spread = 2 / (9 * freedom)
    quantile = NormalDist().inv_cdf(NOISE_LEVEL)
    chi_square = freedom * (1 - spread + quantile * math.sqrt(spread)) ** 3
    return float(chi_square * (1 / live.sum() + 1 / reference.sum()))


def occupied(live, reference):
    """Mark the bins that hold a row of either side."""
    return (live + reference) > 0


def _shares(counts):
    return (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
