#!/bin/sh
# CatBoost's get_leaf_weights, which tells how many rows each leaf was made of, works for two classes
# and in regression, and fails with an assertion for three. The weights are there: the model that
# save_model writes as JSON has them.
#
# catboost 1.2.10, Python 3.11.
# Output seen:
#     2 classes: 4 weights that sum to 300
#     3 classes: AssertionError wrong number of leaf weights
#     3 classes, from JSON: 4 weights that sum to 300
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet catboost==1.2.10
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import json

import numpy as np
from catboost import CatBoostClassifier

X = np.random.default_rng(0).normal(size=(300, 3))
found = []
for n_classes in (2, 3):
    y = np.digitize(X[:, 0], [-0.3, 0.3][: n_classes - 1])
    model = CatBoostClassifier(iterations=1, depth=2, verbose=0, allow_writing_files=False)
    model.fit(X, y)
    try:
        weights = model.get_leaf_weights()
        found.append(f"{n_classes} classes: {len(weights)} weights that sum to {sum(weights):.0f}")
    except AssertionError as error:
        found.append(f"{n_classes} classes: AssertionError {error}")
model.save_model("model.json", format="json")
with open("model.json") as file:
    weights = json.load(file)["oblivious_trees"][0]["leaf_weights"]
found.append(f"3 classes, from JSON: {len(weights)} weights that sum to {sum(weights)}")
print("\n".join(found))
assert found == [
    "2 classes: 4 weights that sum to 300",
    "3 classes: AssertionError wrong number of leaf weights",
    "3 classes, from JSON: 4 weights that sum to 300",
]
PYTHON
