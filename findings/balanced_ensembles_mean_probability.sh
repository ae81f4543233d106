#!/bin/sh
# The mean of predict_proba of ensembles that balance classes has nothing to do with how frequent the
# class is, even on average: 45 times too much for EasyEnsemble, and AdaBoost, which balances
# nothing, is no better. No answer of EasyEnsemble is below .3 where 1 % of the rows are positive.
#
# imbalanced-learn 0.14.2, scikit-learn 1.9.1, Python 3.11.
# Output seen:
#     EasyEnsembleClassifier: 44.7 times the share, 0.302 to 0.738
#     RUSBoostClassifier: 25.6 times the share, 0.119 to 0.881
#     BalancedRandomForestClassifier: 29.1 times the share, 0.000 to 0.940
#     AdaBoostClassifier: 28.5 times the share, 0.184 to 0.480
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet imbalanced-learn==0.14.2 scikit-learn==1.9.1
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from imblearn.ensemble import (
    BalancedRandomForestClassifier,
    EasyEnsembleClassifier,
    RUSBoostClassifier,
)
from sklearn.ensemble import AdaBoostClassifier

rng = np.random.default_rng(0)
X = rng.normal(size=(60_000, 8))
score = X[:, 0] + X[:, 1] * X[:, 2] + rng.logistic(size=60_000)
y = (score > np.quantile(score, 0.99)).astype(int)
for model in (
    EasyEnsembleClassifier(10, random_state=0),
    RUSBoostClassifier(n_estimators=50, random_state=0),
    BalancedRandomForestClassifier(100, random_state=0),
    AdaBoostClassifier(random_state=0),
):
    p = model.fit(X[:20_000], y[:20_000]).predict_proba(X[20_000:])[:, 1]
    factor = p.mean() / y[20_000:].mean()
    print(f"{type(model).__name__}: {factor:.1f} times the share, {p.min():.3f} to {p.max():.3f}")
    assert factor > 20
PYTHON
