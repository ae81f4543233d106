"""Rows that are scaled in another way than those of the teacher's fit are noticed."""

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from xgboost import XGBClassifier

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    MLPStudentClassifier,
    MultiTeacher,
    TreeStudentClassifier,
)

# A consequence, of which users are told as well.
pytestmark = pytest.mark.filterwarnings("ignore:The teacher finds class")

SEEN = "splits column 'age'"


def payments(n_samples, seed):
    """Return measurements of very different scale, and classes."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "age": rng.integers(18, 90, n_samples).astype(float),
            "amount": rng.lognormal(4, 1, n_samples),
            "noise": rng.normal(size=n_samples),
        }
    )
    log_odds = (X["age"] - 50) / 10 + np.log(X["amount"]) - 4
    return X, (rng.random(n_samples) < 1 / (1 + np.exp(-log_odds))).astype(int)


X, Y = payments(1500, 0)
FRESH, Y_FRESH = payments(400, 1)

TEACHERS = [
    RandomForestClassifier(20, random_state=0),
    HistGradientBoostingClassifier(max_iter=20),
    XGBClassifier(n_estimators=20, n_jobs=1),
    LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1),
    CatBoostClassifier(iterations=20, verbose=0, thread_count=1, allow_writing_files=False),
    VotingClassifier([("rf", RandomForestClassifier(10, random_state=0))], voting="soft"),
    MultiTeacher([("rf", RandomForestClassifier(10, random_state=0))]),
]


def distilled(teacher, rows, y, **params):
    model = DistilledClassifier(
        teacher, TreeStudentClassifier(4), labelling="direct", label_correction=False, **params
    )
    return model.fit(rows, y)


@pytest.mark.parametrize("teacher", TEACHERS, ids=lambda each: type(each).__name__)
def test_a_teacher_of_raw_columns_behind_a_scaler_is_noticed_whoever_made_it(teacher):
    teacher.fit(X.to_numpy(), Y)
    distilled(teacher, FRESH.to_numpy(), Y_FRESH)  # no warning
    scaler = StandardScaler().fit(X.to_numpy())
    with pytest.warns(UserWarning, match=r"splits column 'x0' between .* pass raw columns"):
        distilled(teacher, scaler.transform(FRESH.to_numpy()), Y_FRESH)


def test_names_that_a_scaler_keeps_do_not_hide_it():
    scaler = MinMaxScaler().set_output(transform="pandas")
    model = make_pipeline(
        scaler,
        DistilledClassifier(
            RandomForestClassifier(20, random_state=0).fit(X, Y),
            labelling="direct",
            label_correction=False,
        ),
    )
    with pytest.warns(UserWarning, match=f"{SEEN} between .* have 0 to 1 there"):
        model.fit(FRESH, Y_FRESH)


def test_a_scaler_within_the_teacher_is_the_way_and_twice_scaled_rows_are_noticed():
    teacher = make_pipeline(
        StandardScaler().set_output(transform="pandas"), RandomForestClassifier(20, random_state=0)
    )
    teacher.fit(X, Y)
    distilled(teacher, FRESH, Y_FRESH)
    twice = StandardScaler().set_output(transform="pandas").fit(X).transform(FRESH)
    with pytest.warns(UserWarning, match=rf"{SEEN} \(after its own transformers\)"):
        distilled(teacher, twice, Y_FRESH)


def test_few_rows_rows_of_one_group_and_rows_of_the_tail_are_no_sign():
    forest = RandomForestClassifier(20, random_state=0).fit(X, Y)
    one_age = FRESH.assign(age=30.0)
    distilled(forest, one_age, Y_FRESH)
    for some in (FRESH["amount"] > 100, FRESH["age"].between(30, 40), FRESH["age"] < 30):
        distilled(forest, FRESH[some], Y_FRESH[some])


def test_fresh_rows_are_looked_at_as_well():
    scaler = StandardScaler().fit(X.to_numpy())
    forest = RandomForestClassifier(20, random_state=0)
    student = MLPStudentClassifier((4,), max_epochs=1)
    model = DistilledClassifier(forest, student, label_correction=False, augmentation=None)
    model.fit(scaler.transform(X.to_numpy()), Y)
    with pytest.warns(UserWarning, match="the fresh rows it labels"):
        model.partial_fit(FRESH.to_numpy())


def test_a_regressor_as_teacher_is_looked_at_alike():
    forest = RandomForestRegressor(20, random_state=0).fit(X, X["age"] * X["amount"])
    scaled = StandardScaler().set_output(transform="pandas").fit(X).transform(FRESH)
    with pytest.warns(UserWarning, match=SEEN):
        DistilledRegressor(forest, labelling="direct").fit(scaled, FRESH["age"] * FRESH["amount"])
