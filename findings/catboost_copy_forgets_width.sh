#!/bin/sh
# A copy of a fitted CatBoost model, by pickle, deepcopy or a file, says that it was fitted on 0
# columns (n_features_in_), though it predicts as before. scikit-learn's pipelines repeat that.
#
# catboost 1.2.10, scikit-learn 1.9.1, Python 3.11.
# Output seen:
#     n_features_in_ fitted, pickled, copied, loaded, pickled in a pipeline: [5, 0, 0, 0, 0]
#     names that the pickled one knows: 5
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet catboost==1.2.10 scikit-learn==1.9.1
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import copy
import pickle

import numpy as np
from catboost import CatBoostClassifier
from sklearn.pipeline import make_pipeline

X = np.random.default_rng(0).normal(size=(300, 5))
y = (X[:, 0] > 0).astype(int)
model = CatBoostClassifier(iterations=5, verbose=0, allow_writing_files=False).fit(X, y)
pickled, copied = pickle.loads(pickle.dumps(model)), copy.deepcopy(model)
model.save_model("model.cbm")
loaded = CatBoostClassifier().load_model("model.cbm")
found = [m.n_features_in_ for m in (model, pickled, copied, loaded, make_pipeline(pickled))]
print("n_features_in_ fitted, pickled, copied, loaded, pickled in a pipeline:", found)
print("names that the pickled one knows:", len(pickled.feature_names_))
assert np.array_equal(pickled.predict_proba(X), model.predict_proba(X))
assert found == [5, 0, 0, 0, 0] and len(pickled.feature_names_) == 5
PYTHON
