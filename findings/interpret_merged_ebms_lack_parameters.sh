#!/bin/sh
# What interpret's merge_ebms returns predicts, but has no parameters: get_params, clone and repr
# fail, and with them all that clones or prints an estimator. It is made without __init__, and some
# parameters are not set.
#
# interpret-core 0.7.8, scikit-learn 1.9.1, Python 3.11.
# Output seen:
#     accuracy 0.865
#     get_params: AttributeError: 'ExplainableBoostingClassifier' object has no attribute 'callback'
#     clone: AttributeError: 'ExplainableBoostingClassifier' object has no attribute 'callback'
#     repr: AttributeError: 'ExplainableBoostingClassifier' object has no attribute 'callback'
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet interpret-core==0.7.8 scikit-learn==1.9.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from interpret.glassbox import ExplainableBoostingClassifier, merge_ebms
from sklearn.base import clone
from sklearn.datasets import make_classification

X, y = make_classification(400, 4, random_state=0)
halves = [
    ExplainableBoostingClassifier(max_rounds=20, interactions=0, n_jobs=1).fit(X[i::2], y[i::2])
    for i in (0, 1)
]
merged = merge_ebms(halves)
print(f"accuracy {merged.score(X, y):.3f}")
assert merged.score(X, y) > 0.8
for name, use in {
    "get_params": lambda: merged.get_params(),
    "clone": lambda: clone(merged),
    "repr": lambda: repr(merged),
}.items():
    try:
        use()
    except AttributeError as error:
        print(f"{name}: AttributeError: {error}")
    else:
        raise SystemExit(f"{name} works now")
PYTHON
