#!/bin/sh
# CatBoost with a list or an array of cat_features, as in its own documentation, cannot be cloned by
# scikit-learn, and so not be cross-validated or searched: its constructor copies them. A tuple works.
#
# catboost 1.2.10, scikit-learn 1.9.1, Python 3.11.
# Output seen:
#     Cannot clone object CatBoostClassifier(cat_features=['a']), as the constructor either does not set or modifies parameter cat_features
#     Cannot clone object CatBoostClassifier(cat_features=array([0])), as the constructor either does not set or modifies parameter cat_features
#     cloned
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet catboost==1.2.10 scikit-learn==1.9.1
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from catboost import CatBoostClassifier
from sklearn.base import clone


def what_happens(features):
    try:
        clone(CatBoostClassifier(cat_features=features))
    except RuntimeError as error:
        return str(error)
    return "cloned"


found = [what_happens(features) for features in (["a"], np.array([0]), ("a",))]
print(*found, sep="\n")
assert [text == "cloned" for text in found] == [False, False, True]
PYTHON
