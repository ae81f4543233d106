#!/bin/sh
# mlflow.sklearn.save_model with its defaults refuses every tree and forest of scikit-learn: it writes
# with skops now, which does not trust their nodes. serialization_format="cloudpickle" writes them,
# and pyfunc_predict_fn="predict_proba" has the served model answer with probabilities.
#
# mlflow 3.17.2, scikit-learn 1.9.1, skops 0.16.0, Python 3.11.
# Output seen:
#     RandomForestClassifier Untrusted types found in the file: ['sklearn.tree._tree.Tree'].
#     RandomForestClassifier as cloudpickle: the same True
#     HistGradientBoostingClassifier Untrusted types found in the file: ['sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor'].
#     HistGradientBoostingClassifier as cloudpickle: the same True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mlflow==3.17.2 scikit-learn==1.9.1 skops==0.16.0
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import logging

import mlflow
import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

logging.disable(logging.WARNING)
X, y = load_iris(return_X_y=True)
for model in (RandomForestClassifier(5, random_state=0), HistGradientBoostingClassifier()):
    name = type(model).__name__
    try:
        mlflow.sklearn.save_model(model.fit(X, y), f"{name}_default")
    except mlflow.MlflowException as error:
        print(name, str(error).partition("Root error: ")[2].splitlines()[0])
    else:
        raise SystemExit(f"{name} is written now")
    mlflow.sklearn.save_model(
        model,
        name,
        serialization_format="cloudpickle",
        pyfunc_predict_fn="predict_proba",
    )
    served = mlflow.pyfunc.load_model(name).predict(X)
    print(name, "as cloudpickle: the same", np.array_equal(served, model.predict_proba(X)))
PYTHON
