#!/usr/bin/env bash
# scikit-learn 1.9.1, sklearn.frozen.FrozenEstimator.
#
# 1. set_params is documented to return the estimator, as that of all others does, and returns None:
#    `frozen.set_params(estimator=other).predict(X)` raises AttributeError.
# 2. clone returns the very same FrozenEstimator, so a clone of a pipeline shares that step with the
#    original: set_params on the clone changes what the original answers, in silence.
#
# Seen: returned None; the original's mean went from [0.5] to [7.].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1
"$folder/venv/bin/python" - <<'PYTHON'
import sklearn
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

low, high = (StandardScaler().fit([[a], [b]]) for a, b in [(0.0, 1.0), (5.0, 9.0)])
returned = FrozenEstimator(low).set_params(estimator=high)
original = make_pipeline(FrozenEstimator(low), LogisticRegression())
before = original[0].mean_
clone(original).set_params(frozenestimator__estimator=high)
after = original[0].mean_
print(f"scikit-learn {sklearn.__version__}")
print(f"1. FrozenEstimator.set_params returned {returned}; the estimator was expected")
print(f"2. the original's mean was {before}, and is {after} after set_params on its clone")
raise SystemExit(0 if returned is None and before != after else 1)
PYTHON
