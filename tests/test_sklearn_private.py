"""What is used of scikit-learn without being public: a release that breaks it fails here."""

import ast
import inspect
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

import skdistill
from skdistill import sklearn_private

ROOT = Path(skdistill.__file__).parent


def private_imports(path):
    """List the names that a file imports from scikit-learn although they are not public."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.startswith("sklearn")]
        else:
            continue
        found += [name for name in names if "._" in name or name.startswith("sklearn.experimental")]
    return found


def test_one_file_imports_what_is_not_public():
    by_file = {path: private_imports(path) for path in ROOT.rglob("*.py")}
    assert len(by_file.pop(ROOT / "sklearn_private.py")) == 13
    assert not any(by_file.values()), {p: found for p, found in by_file.items() if found}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("check_y", {"y", "y_numeric", "estimator"}),
        ("check_sample_weight", {"sample_weight", "X", "dtype", "ensure_non_negative"}),
        ("check_pos_label", {"pos_label", "y_true"}),
        ("safe_indexing", {"X", "indices", "axis"}),
        ("validate_parameter_constraints", {"parameter_constraints", "params", "caller_name"}),
        ("Interval", {"type", "left", "right", "closed"}),
        ("HasMethods", {"methods"}),
        ("StrOptions", {"options"}),
    ],
)
def test_functions_take_what_they_are_passed(name, parameters):
    assert parameters <= set(inspect.signature(getattr(sklearn_private, name)).parameters)


def test_labels_are_checked():
    y = sklearn_private.check_y(pd.Series(["a", "b"]), estimator=LogisticRegression())
    assert isinstance(y, np.ndarray)
    numbers = sklearn_private.check_y(np.array([1, 2.5], dtype=object), y_numeric=True)
    assert numbers.dtype == np.float64
    for wrong in ([1.0, np.nan], [1.0, np.inf], [[1, 2], [3, 4]], [1j, 2]):
        with pytest.raises(ValueError, match=r"NaN|infinity|shape|Complex"):
            sklearn_private.check_y(np.array(wrong), y_numeric=True)


def test_weights_are_checked():
    X = np.zeros((3, 1))
    weights = sklearn_private.check_sample_weight(None, X, dtype=np.float64)
    np.testing.assert_array_equal(weights, [1.0, 1.0, 1.0])
    for wrong in ([1, 1], [1, -1, 1], [1, np.nan, 1], [[1, 1, 1]]):
        with pytest.raises(ValueError, match=r"weight|negative"):
            sklearn_private.check_sample_weight(wrong, X, ensure_non_negative=True)


def test_rows_are_counted_in_any_container():
    X = np.zeros((3, 2))
    for table in (X, X.tolist(), sp.csr_matrix(X), pd.DataFrame(X), pl.DataFrame(X)):
        assert sklearn_private.num_samples(table) == 3


def test_rows_and_columns_are_taken_in_the_container():
    X = np.arange(6.0).reshape(3, 2)
    names = ["a", "b"]
    for table in (X, sp.csr_matrix(X), pd.DataFrame(X, columns=names), pl.DataFrame(X, names)):
        rows = sklearn_private.safe_indexing(table, np.array([2, 0]))
        columns = sklearn_private.safe_indexing(table, [1], axis=1)
        assert type(rows) is type(columns) is type(table)
        assert (rows.shape, columns.shape) == ((2, 2), (3, 1))
    frame = pd.DataFrame(X, columns=names)
    for which in (["b"], [False, True], slice("b", "b"), slice(1, 2)):
        assert list(sklearn_private.safe_indexing(frame, which, axis=1).columns) == ["b"]


def test_the_positive_label_is_1_unless_it_is_passed():
    assert sklearn_private.check_pos_label(None, np.array([0, 1])) == 1
    assert sklearn_private.check_pos_label("a", np.array(["a", "b"])) == "a"
    with pytest.raises(ValueError, match="pos_label is not specified"):
        sklearn_private.check_pos_label(None, np.array(["a", "b"]))


def test_constraints_accept_and_refuse():
    constraints = {
        "n": [sklearn_private.Interval(Integral, 1, None, closed="left"), None],
        "share": [sklearn_private.Interval(sklearn_private.RealNotInt, 0, 1, closed="neither")],
        "weight": [sklearn_private.Interval(Real, 0, 1, closed="both")],
        "how": [sklearn_private.StrOptions({"a", "b"})],
        "model": [sklearn_private.HasMethods(["fit", "predict"])],
    }
    good = {"n": 1, "share": 0.5, "weight": 1, "how": "a", "model": LogisticRegression()}
    check = sklearn_private.validate_parameter_constraints
    check(constraints, good | {"n": None}, "It")
    for wrong in ({"n": 0}, {"share": 1}, {"weight": 1.1}, {"how": "c"}, {"model": "a"}):
        with pytest.raises(
            sklearn_private.InvalidParameterError, match=r"of It must be.* Got "
        ) as e:
            check(constraints, good | wrong, "It")
        assert isinstance(e.value, ValueError)
        assert isinstance(e.value, TypeError)


def test_a_composition_gets_and_sets_parameters_of_its_parts():
    class Composed(sklearn_private.BaseComposition):
        def __init__(self, parts):
            self.parts = parts

        def get_params(self, deep=True):
            return self._get_params("parts", deep=deep)

        def set_params(self, **params):
            return self._set_params("parts", **params)

    composed = Composed([("one", LogisticRegression(C=2.0))])
    assert composed.get_params()["one__C"] == 2.0
    assert composed.set_params(one__C=3.0).parts[0][1].C == 3.0
    assert composed.set_params(one="other").parts == [("one", "other")]
