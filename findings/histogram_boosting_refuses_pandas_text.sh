#!/bin/sh
# HistGradientBoosting finds categorical columns by their type, categorical_features="from_dtype", but
# not those of the type that pandas 3 gives to text (str): it tries to make numbers of the cells, and
# the error shows a cell, not the column. The same text as polars Categorical is taken.
#
# scikit-learn 1.9.1, pandas 3.1.1, polars 2.1.0, Python 3.11.
# Output seen:
#     pandas says: str
#     ValueError: could not convert string to float: 'green'
#     pandas 1.0
#     polars.dataframe.frame 1.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 pandas==3.1.1 polars==2.1.0
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pandas as pd
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

text = np.random.default_rng(0).choice(["red", "green"], 300)
y = (text == "red").astype(int)
frame = pd.DataFrame({"colour": text})
print("pandas says:", frame["colour"].dtype)
try:
    HistGradientBoostingClassifier().fit(frame, y)
except ValueError as error:
    print("ValueError:", error)
    assert "colour" not in str(error)
else:
    raise SystemExit("text is taken now")
polars = pl.DataFrame({"colour": pl.Series(text.tolist(), dtype=pl.Categorical)})
for taken in (frame.astype("category"), polars):
    print(type(taken).__module__, HistGradientBoostingClassifier().fit(taken, y).score(taken, y))
PYTHON
