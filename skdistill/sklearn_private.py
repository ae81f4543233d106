"""All that is used of scikit-learn without being public there; nothing else imports such names.

`tests/test_sklearn_private.py` says what is relied upon. Where a release of scikit-learn breaks
that, this is the file to change.
"""

from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as n_openmp_threads
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.validation import _check_pos_label_consistency as check_pos_label
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _check_y as check_y
from sklearn.utils.validation import _num_samples as num_samples

__all__ = [
    "BaseComposition",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "RealNotInt",
    "StrOptions",
    "check_pos_label",
    "check_sample_weight",
    "check_y",
    "n_openmp_threads",
    "num_samples",
    "safe_indexing",
    "validate_parameter_constraints",
]
