"""Keys of teachers: equal for copies, different for whatever answers differently."""

import copy
import importlib
import pickle
import subprocess
import sys
import threading
import types
from functools import cached_property, lru_cache

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdistill import DistilledClassifier, MultiTeacher, TreeStudentClassifier
from skdistill.teacher.identity import content_key


def xgboost_classifier():
    return pytest.importorskip("xgboost").XGBClassifier(n_estimators=5, n_jobs=1)


def lightgbm_classifier():
    return pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1)


TEACHERS = {
    "RandomForest": lambda: RandomForestClassifier(5, random_state=0),
    "ExtraTrees": lambda: ExtraTreesClassifier(5, random_state=0),
    "GradientBoosting": lambda: GradientBoostingClassifier(n_estimators=5, random_state=0),
    "HistGradientBoosting": lambda: HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "XGBoost": xgboost_classifier,
    "LightGBM": lightgbm_classifier,
    "Pipeline": lambda: make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)),
    "Stacking": lambda: StackingClassifier([("nb", GaussianNB())], LogisticRegression(), cv=2),
    "MultiTeacher": lambda: MultiTeacher([("nb", GaussianNB()), ("lr", LogisticRegression())]),
}


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    return X, (X[:, 0] + rng.normal(size=300) > 0).astype(int)


class TestKey:
    @pytest.mark.parametrize("name", TEACHERS)
    def test_copies_have_the_key_of_the_original(self, rows, name):
        fitted = TEACHERS[name]().fit(*rows)
        key = content_key(fitted)
        fitted.predict_proba(rows[0])
        assert content_key(fitted) == key
        assert content_key(pickle.loads(pickle.dumps(fitted))) == key
        assert content_key(TEACHERS[name]().fit(*rows)) == key

    @pytest.mark.parametrize("name", TEACHERS)
    def test_other_rows_or_parameters_give_another_key(self, rows, name):
        X, y = rows
        key = content_key(TEACHERS[name]().fit(X, y))
        assert content_key(TEACHERS[name]().fit(X[1:], y[1:])) != key
        assert content_key(TEACHERS[name]()) != key
        assert content_key(clone(TEACHERS[name]())) == content_key(TEACHERS[name]())

    def test_a_single_leaf_makes_a_difference(self, rows):
        forest = RandomForestClassifier(5, random_state=0).fit(*rows)
        other = copy.deepcopy(forest)
        other.estimators_[4].tree_.value[-1, 0, 0] += 1e-9
        assert content_key(forest) != content_key(other)

    def test_threads_and_messages_make_none(self):
        one, other = RandomForestClassifier(n_jobs=1), RandomForestClassifier(n_jobs=4, verbose=1)
        assert content_key(one) == content_key(other)
        assert content_key(one) != content_key(RandomForestClassifier(n_estimators=99))

    def test_functions_differ_by_what_they_do(self):
        factor = 2.0
        doubled, tripled = (FunctionTransformer(lambda x, f=f: x * f) for f in (2.0, 3.0))
        assert content_key(doubled) != content_key(tripled)
        assert content_key(lambda x: x + 1) != content_key(lambda x: x - 1)
        assert content_key(lambda x: x * factor) != content_key(lambda x: x)

        def scaled(by):
            return lambda x: x * by

        assert content_key(scaled(1)) == content_key(scaled(1))
        assert content_key(scaled(1)) != content_key(scaled(2))

    def test_a_step_that_was_edited_has_another_key(self):
        def edited(body):
            space = {"__name__": "steps"}
            exec(f"class Step:\n    def transform(self, X):\n        return {body}", space)
            return content_key(space["Step"]())

        assert edited("X") == edited("X")
        assert edited("X") != edited("X * 2")

    @pytest.mark.parametrize("body", ["X * scale", "helper(X)", "(lambda X: X * scale)(X)"])
    def test_a_function_that_reads_something_else_has_another_key(self, body):
        def key(scale, power):
            space = {"__name__": "steps", "scale": scale}
            exec(
                f"def helper(X):\n    return transform(X) if X is None else X ** {power}\n\n"
                f"def transform(X):\n    return {body}",
                space,
            )
            return content_key(FunctionTransformer(space["transform"]))

        assert key(2, 1) == key(2, 1)
        assert key(2, 1) != key(3, 2)

    def test_a_transformer_that_was_edited_has_another_key(self):
        def key(body, factor=1):
            space = {"__name__": "steps", "Mixin": TransformerMixin, "Base": BaseEstimator}
            exec(
                f"class Step(Mixin, Base):\n    factor = {factor}\n"
                f"    @staticmethod\n    def times(X):\n        return {body}\n\n"
                "    def transform(self, X):\n        return self.times(X) * self.factor",
                space,
            )
            return content_key(make_pipeline(space["Step"]()))

        assert key("X") == key("X")
        assert key("X") != key("X * 2")
        assert key("X") != key("X", factor=2)

    def test_a_module_that_was_edited_gives_another_key(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        keys = []
        for body in ("X", "X", "X * 2"):
            (tmp_path / "own_steps.py").write_text(f"def f(X):\n    return {body}")
            sys.modules.pop("own_steps", None)
            space = {"__name__": "steps", "own_steps": importlib.import_module("own_steps")}
            exec("def transform(X):\n    return own_steps.f(X)", space)
            keys.append(content_key(space["transform"]))
        sys.modules.pop("own_steps")
        assert keys[0] == keys[1] != keys[2]

    def test_it_is_the_same_in_another_process(self):
        code = (
            "import numpy as np; from sklearn.ensemble import RandomForestClassifier as Forest; "
            "from skdistill.teacher.identity import content_key; X = np.arange(40.0)[:, None]; "
            "print(content_key(Forest(3, random_state=0).fit(X, X[:, 0] % 3 > 1)), "
            "content_key({'a', 'b', 'c'}))"
        )
        found = [
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            for _ in range(2)
        ]
        assert found[0].stdout == found[1].stdout

    def test_what_holds_itself_ends(self):
        known = [1]
        known.append(known)
        assert content_key(known) == content_key(known)

    def test_what_cannot_be_read_never_has_the_same_key(self):
        lock = threading.Lock()
        assert content_key(lock) != content_key(lock)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (1, 1.0),
            (True, 1),
            ("1", 1),
            ([1, 2], (1, 2)),
            ([[1], 2], [1, [2]]),
            (np.float32(1), np.float64(1)),
            (np.arange(6), np.arange(6).reshape(2, 3)),
            (np.array(["ab"], dtype=object), np.array(["a", "b"], dtype=object)),
            ({"a": 1}, {"a": 2}),
            ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
            (b"a", "a"),
        ],
    )
    def test_values_are_told_apart(self, one, other):
        assert content_key(one) != content_key(other)
        assert content_key(one) == content_key(copy.deepcopy(one))


class Remote(ClassifierMixin, BaseEstimator):
    """Answers from somewhere else: nothing of what it knows is in the object."""

    served = None

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return Remote.served.predict_proba(X)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class TestCache:
    def fitted(self, teacher, rows, pool, memory):
        model = DistilledClassifier(
            teacher, TreeStudentClassifier(16), labelling="direct", memory=memory, random_state=0
        )
        return model.fit(*rows, X_unlabeled=pool).predict_proba(pool)

    @pytest.mark.filterwarnings("ignore:The teacher was fitted on the very rows")
    def test_teachers_that_agree_on_the_labelled_rows_are_told_apart(self, rows, tmp_path):
        pool = np.random.default_rng(1).normal(size=(300, 4))
        one, two = (
            ExtraTreesClassifier(30, max_features=m, random_state=m).fit(*rows) for m in (1, 4)
        )
        np.testing.assert_array_equal(one.predict_proba(rows[0]), two.predict_proba(rows[0]))
        self.fitted(one, rows, pool, str(tmp_path))
        cached, right = (self.fitted(two, rows, pool, memory) for memory in (str(tmp_path), None))
        np.testing.assert_array_equal(cached, right)

    def test_teachers_without_content_are_told_apart_by_answers_to_the_pool(self, rows, tmp_path):
        X, y = np.clip(rows[0], -1, 1), rows[1]
        pool = np.random.default_rng(1).normal(size=(300, 4)) * 2

        class KnowsFarRows:
            def __init__(self, weight):
                self.weight = weight

            def predict_proba(self, X):
                far = np.abs(X).max(axis=1) > 1
                p = np.where(far, 1 / (1 + np.exp(-self.weight * X[:, 0])), 0.5)
                return np.stack([1 - p, p], axis=1)

        answers = []
        for weight in (5, -5):
            Remote.served = KnowsFarRows(weight)
            answers.append(self.fitted(Remote().fit(X, y), (X, y), pool, str(tmp_path)))
        assert np.abs(answers[0] - answers[1]).max() > 0.3

    def test_a_teacher_that_was_loaded_again_hits_the_cache(self, rows, tmp_path, monkeypatch):
        asked, predict_proba = [], RandomForestClassifier.predict_proba

        def counted(forest, X):
            asked.append(len(X))
            return predict_proba(forest, X)

        monkeypatch.setattr(RandomForestClassifier, "predict_proba", counted)
        teacher = RandomForestClassifier(25, random_state=0).fit(*rows)
        pool = np.random.default_rng(1).normal(size=(2000, 4))
        with pytest.warns(UserWarning, match="very rows"):
            self.fitted(teacher, rows, pool, str(tmp_path))
        asked.clear()
        with pytest.warns(UserWarning, match="very rows"):
            self.fitted(copy.deepcopy(teacher), rows, pool, str(tmp_path))
        assert sum(asked) < 1000  # a few for the key


def test_a_class_keeps_its_key_when_its_objects_are_copied():
    space = {"__name__": "steps", "Base": BaseEstimator}
    exec("class Step(Base):\n    def transform(self, X):\n        return X", space)
    before = content_key(space["Step"])
    copy.deepcopy(space["Step"]())  # copyreg leaves a mark in the class
    pickle.dumps(copy.copy(np.ones(2)))
    assert content_key(space["Step"]) == before


@pytest.mark.parametrize(
    "body",
    [
        "class Step:\n    _factor = {0}\n    def f(self, X):\n        return X * self._factor",
        "class Step:\n    @cached_property\n    def _f(self):\n        return {0}",
        "class Step:\n    @classmethod\n    def _f(cls):\n        return {0}",
        "@lru_cache\ndef g():\n    return {0}\n\ndef Step(X):\n    return X * g()",
    ],
)
def test_what_a_class_keeps_to_itself_counts(body):
    keys = []
    for value in (1, 1, 2):
        space = {"__name__": "steps", "cached_property": cached_property, "lru_cache": lru_cache}
        exec(body.format(value), space)
        keys.append(content_key(space["Step"]))
    assert keys[0] == keys[1] != keys[2]


def test_what_is_set_in_a_module_counts(monkeypatch):
    module = types.ModuleType("own_config")
    monkeypatch.setitem(sys.modules, "own_config", module)
    space = {"__name__": "steps"}
    exec("import own_config\n\ndef outside(X):\n    return X * own_config.K", space)
    exec("def inside(X):\n    import own_config\n    return X * own_config.K", space)
    keys = []
    for module.K in (1, 1, 2):
        keys.append([content_key(space[name]) for name in ("outside", "inside")])
    assert keys[0] == keys[1]
    assert all(a != b for a, b in zip(keys[1], keys[2], strict=True))


def test_masks_count():
    cells = np.arange(3.0)
    masked = [np.ma.masked_array(cells, mask=mask) for mask in ([0, 0, 1], [0, 1, 0])]
    assert content_key(masked[0]) != content_key(masked[1])
