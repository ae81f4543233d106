#!/bin/sh
# The first trees of an XGBoost booster, cut out by a slice (booster[:n]), have forgotten the
# categories: they answer by the codes of the table they are asked about, without a word. The booster
# itself, its copies and iteration_range go by the names of the categories, in any order. One would
# expect that of a slice, too.
#
# xgboost 3.2.0, pandas 3.1.1, Python 3.11.
# Output seen:
#     booster, iteration_range, copy: 0.0 0.0 0.0
#     slice, categories as in fit: 0.0
#     slice, categories in another order: 0.78
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xgboost-cpu==3.2.0 pandas==3.1.1 scikit-learn==1.9.1
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pandas as pd
import xgboost

rng = np.random.default_rng(0)
level, x = rng.choice(list("abc"), 300), rng.normal(size=300)
y = (x + 2 * (level == "a") > 0.5).astype(int)


def table(categories):
    columns = {"x": x, "level": pd.Categorical(level, categories=list(categories))}
    return xgboost.DMatrix(pd.DataFrame(columns), y, enable_categorical=True)


booster = xgboost.train({"objective": "binary:logistic"}, table("abc"), 5)
expected = booster.predict(table("abc"))


def difference(answers):
    return round(float(abs(answers - expected).max()), 2)


other = table("cba")
right = [
    difference(booster.predict(other)),
    difference(booster.predict(other, iteration_range=(0, 5))),
    difference(booster.copy().predict(other)),
]
cut = booster[:5]
same, wrong = difference(cut.predict(table("abc"))), difference(cut.predict(other))
print("booster, iteration_range, copy:", *right)
print("slice, categories as in fit:", same)
print("slice, categories in another order:", wrong)
assert right == [0.0, 0.0, 0.0] and same == 0.0 and wrong > 0.5
PYTHON
