"""Whether probabilities are what was observed: overall, and in each band of decisions."""

from dataclasses import dataclass

import numpy as np

from skdistill.decisions.costs import DECISIONS

#: Mean probability and observed rate are far apart if one is more than this many times the other,
FAR = 1.25

#: and the difference is more than this many standard errors, if the probabilities were right.
STANDARD_ERRORS = 3.3

_WORDS = {
    "all": "all {:,} rows",
    "approve": "{:,} approved rows",
    "review": "{:,} reviewed rows",
    "decline": "{:,} declined rows",
}


@dataclass(frozen=True)
class BandCalibration:
    """What was predicted and what was observed on the rows of a band.

    Attributes
    ----------
    band : {"all", "approve", "review", "decline"}
        Which rows.
    n_samples : int
        Number of rows.
    mean_probability : float
        Mean of their probabilities of fraud.
    observed_rate : float
        Share of frauds among them.
    is_far : bool
        Whether the two differ by more than a quarter, and by more than chance explains.
    """

    band: str
    n_samples: int
    mean_probability: float
    observed_rate: float
    is_far: bool


def calibration_of(positive, probability, codes, weight):
    """Compare probabilities with what was observed: all rows first, then the bands that hold any.

    `positive` is 1 for a fraud, else 0; `codes` are decisions as positions among `DECISIONS`.
    """
    bands = {"all": weight > 0}
    bands |= {name: (codes == code) & (weight > 0) for code, name in enumerate(DECISIONS.tolist())}
    return tuple(
        _compare(band, positive[rows], probability[rows], weight[rows])
        for band, rows in bands.items()
        if rows.any()
    )


def calibration_finding(calibration, name="The model"):
    """Say where probabilities are far from what was observed; None if that is nowhere.

    Approved rows count only if they hold more frauds than was thought: to think too ill of them
    changes no decision.
    """
    far = [
        band
        for band in calibration
        if band.is_far and (band.band != "approve" or band.observed_rate > band.mean_probability)
    ]
    if not far:
        return None
    parts = [
        f"on {_WORDS[band.band].format(band.n_samples)} they are {band.mean_probability:.3g} on "
        f"average, where a share of {band.observed_rate:.3g} were frauds"
        for band in far
    ]
    return (
        f"{name} does not give calibrated probabilities: {'; '.join(parts)}. Costs are weighed "
        "with them, so that thresholds are off by as much: calibrate first, for instance with "
        "DistilledClassifier.recalibrate or sklearn.calibration.CalibratedClassifierCV."
    )


def _compare(band, positive, probability, weight):
    mean, rate = (np.average(each, weights=weight) for each in (probability, positive))
    error = np.sqrt(weight**2 @ (probability * (1 - probability)))
    surprise = np.abs(weight @ (probability - positive)) / max(error, 1e-12)
    low, high = sorted((mean, rate))
    return BandCalibration(
        band=band,
        n_samples=len(positive),
        mean_probability=float(mean),
        observed_rate=float(rate),
        is_far=bool(surprise > STANDARD_ERRORS and high > FAR * low),
    )
