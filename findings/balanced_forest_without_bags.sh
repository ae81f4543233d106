#!/bin/sh
# imbalanced-learn's BalancedRandomForestClassifier is one of scikit-learn's forests by class, but
# estimators_samples_, which every such forest has after fit, raises AttributeError.
#
# imbalanced-learn 0.14.2, scikit-learn 1.9.1, Python 3.11.
# Output seen:
#     is a RandomForestClassifier: True
#     its relative has bags: 5
#     AttributeError: 'BalancedRandomForestClassifier' object has no attribute '_n_samples'
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet imbalanced-learn==0.14.2 scikit-learn==1.9.1
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from imblearn.ensemble import BalancedRandomForestClassifier
from sklearn.ensemble import RandomForestClassifier

X = np.random.default_rng(0).normal(size=(300, 3))
y = (X[:, 0] > 1).astype(int)
model = BalancedRandomForestClassifier(5, random_state=0).fit(X, y)
print("is a RandomForestClassifier:", isinstance(model, RandomForestClassifier))
print("its relative has bags:", len(RandomForestClassifier(5).fit(X, y).estimators_samples_))
try:
    model.estimators_samples_
except AttributeError as error:
    print("AttributeError:", error)
else:
    raise SystemExit("it has bags now")
PYTHON
