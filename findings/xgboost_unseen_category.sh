#!/bin/sh
# XGBoost answers a category that it has never seen as the seen one that is next in the order of
# the alphabet, without a word; only one that would be the last raises. One would expect that all of
# them raise, or that all count as missing, as in LightGBM and HistGradientBoosting.
#
# xgboost 3.2.0, pandas 3.1.1, Python 3.11.
# Output seen:
#     b, d, f: [0.10000000149011612, 0.8999999761581421, 0.20000000298023224]
#     unseen a -> 0.10000000149011612
#     unseen c -> 0.8999999761581421
#     unseen e -> 0.20000000298023224
#     unseen g -> XGBoostError
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xgboost-cpu==3.2.0 pandas==3.1.1 scikit-learn==1.9.1
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pandas as pd
from xgboost import XGBClassifier

levels = ["b", "d", "f"]
rng = np.random.default_rng(0)
c = rng.choice(levels, 6000)
y = (rng.random(6000) < np.array([{"b": 0.1, "d": 0.9, "f": 0.2}[k] for k in c])).astype(int)


def table(values, categories):
    return pd.DataFrame({"c": pd.Categorical(values, categories=categories)})


model = XGBClassifier(enable_categorical=True).fit(table(c, levels), y)
known = [model.predict_proba(table([k], levels))[0, 1].round(2).item() for k in levels]
print("b, d, f:", known)
unseen = []
for new in ("a", "c", "e", "g"):
    try:
        found = model.predict_proba(table([new], [*levels, new]))[0, 1].round(2).item()
    except Exception as error:
        found = type(error).__name__
    print("unseen", new, "->", found)
    unseen.append(found)
assert unseen == [*known, "XGBoostError"]
PYTHON
