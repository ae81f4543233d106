"""Saving and loading students: the same to the last bit."""

import copy
import json
import subprocess
import sys
import warnings
from dataclasses import fields, is_dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    DistilledClassifier,
    LinearStudentClassifier,
    MLPStudentClassifier,
    TreeDisplay,
    TreeStudentClassifier,
    explain,
)
from skdistill.exceptions import ParityError, StudentFileError
from skdistill.export.student_content import student_content
from skdistill.export.student_file import SKOPS_TRUSTED_TYPES, load, save, student_from
from skdistill.scorer import student_file
from skdistill.scorer.model import fingerprint
from skdistill.scorer.student_content import lean_model
from skdistill.scorer.student_file import pack, read_student_file, unpack

GOLDEN = Path(__file__).parent / "student_files"
KINDS = [
    "tree",
    "tree_regressor",
    "linear",
    "linear_regressor",
    "mlp",
    "mlp_regressor",
    "soft_tree",
    "pairs",
    "pairs_regressor",
    "tree_sum",
    "tree_sum_regressor",
]
each_kind = pytest.mark.parametrize("kind", KINDS)


def answers(student, X):
    return student.predict_proba(X) if hasattr(student, "classes_") else student.predict(X)


def payload_of(student):
    return pack(student_content(student))


def roundtrip(student, path):
    save(student, path)
    return load(path)


@each_kind
def test_a_loaded_student_answers_the_same_to_the_last_bit(students, kind, mixed_frame, tmp_path):
    student, (frame, *_) = students[kind], mixed_frame(700, seed=1)
    frame["city"] = frame["city"].where(frame.index % 3 > 0, "Wels")  # never seen
    loaded = roundtrip(student, tmp_path / "student.skd")
    assert type(loaded) is type(student)
    assert set(vars(loaded)) == set(vars(student))
    assert loaded.get_params() == student.get_params()
    np.testing.assert_array_equal(answers(loaded, frame), answers(student, frame))
    predicted, expected = loaded.predict(frame), student.predict(frame)
    assert predicted.dtype == expected.dtype
    np.testing.assert_array_equal(predicted, expected)


@pytest.mark.parametrize("kind", ["tree", "linear", "mlp"])
def test_a_student_that_its_file_does_not_answer_for_is_not_saved(students, kind, tmp_path):
    student = copy.deepcopy(students[kind])
    path = tmp_path / "student.skd"
    save(student, path)
    before = path.read_bytes()
    if kind == "linear":  # what scores in Python, but not what is saved
        student.curves_ = [1.01 * curve for curve in student.curves_]
    else:
        margins = student._margins
        student._margins = lambda X: 0.1 * margins(X)  # also of pure leaves
    with pytest.raises(ParityError, match="The student file does not match the student"):
        save(student, path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["student.skd"]


@each_kind
def test_every_fitted_attribute_comes_back(students, kind, tmp_path):
    student = students[kind]
    loaded = roundtrip(student, tmp_path / "student.skd")
    for name, value in vars(student).items():
        if name.endswith("_"):
            np.testing.assert_equal(fields_of(getattr(loaded, name)), fields_of(value))


def fields_of(value):
    """Take data classes apart, so that NumPy can compare them."""
    if is_dataclass(value):
        return {field.name: fields_of(getattr(value, field.name)) for field in fields(value)}
    return [fields_of(each) for each in value] if isinstance(value, tuple) else value


@each_kind
def test_the_same_student_gives_the_same_file_again_and_again(students, kind, tmp_path):
    student = students[kind]
    loaded = roundtrip(student, tmp_path / "one.skd")
    save(loaded, tmp_path / "two.skd")
    assert (tmp_path / "one.skd").read_bytes() == (tmp_path / "two.skd").read_bytes()


@each_kind
def test_the_model_that_is_served_is_the_same_from_a_file(students, kind):
    content = student_content(students[kind])
    assert fingerprint(lean_model(unpack(pack(content)))) == fingerprint(lean_model(content))


@pytest.mark.parametrize(
    "labels",
    [
        np.array([3, -7]),
        np.array([0, 255], dtype=np.uint8),
        np.array([1.0, 2.0]),
        np.array([-1.0, 2.0], dtype=np.float32),
        np.array([False, True]),
        np.array(["no", "yes"], dtype="<U7"),
        np.array(["nein", "jä"], dtype=object),
        np.array([1, 2], dtype=">i4"),
    ],
    ids=lambda labels: labels.dtype.str,
)
def test_class_labels_keep_their_type(labels, binary_task, tmp_path):
    X, y = binary_task
    student = TreeStudentClassifier().fit(X, labels[y])
    loaded = roundtrip(student, tmp_path / "student.skd")
    assert loaded.classes_.dtype == student.classes_.dtype.newbyteorder("=")
    assert [type(label) for label in loaded.classes_.tolist()] == [
        type(label) for label in student.classes_.tolist()
    ]
    np.testing.assert_array_equal(loaded.predict(X), student.predict(X))


@pytest.mark.parametrize("student", [TreeStudentClassifier(), LinearStudentClassifier()])
def test_a_student_of_one_class_and_without_column_names_is_saved(student, binary_task, tmp_path):
    X, y = binary_task
    loaded = roundtrip(student.fit(X, np.ones_like(y)), tmp_path / "student.skd")
    assert not hasattr(loaded, "feature_names_in_")
    assert (loaded.predict_proba(X) == 1).all()


@pytest.mark.parametrize("student", [TreeStudentClassifier(), LinearStudentClassifier()])
def test_levels_that_are_numbers_booleans_or_missing_are_saved(student, mixed_frame, tmp_path):
    frame, y, _ = mixed_frame()
    for name, values in ("count", frame["count"] % 3), ("flag", frame["flag"]):
        frame[name] = pd.Categorical(values)
    frame["half"] = pd.Categorical(np.where(frame["amount"] > 50, 0.5, np.nan))
    frame["empty"] = pd.Categorical([None] * len(frame), categories=["a"])
    loaded = roundtrip(student.fit(frame, y), tmp_path / "student.skd")
    np.testing.assert_array_equal(loaded.predict_proba(frame), student.predict_proba(frame))


def test_a_split_on_missing_alone_is_saved(tmp_path):
    X = np.array([[np.nan], [1.0], [2.0], [np.nan]] * 20)
    student = TreeStudentClassifier().fit(X, np.isnan(X[:, 0]))
    assert np.isinf(student.tree_.threshold).any()
    assert np.isfinite(lean_model(student_content(student)).threshold).all()
    loaded = roundtrip(student, tmp_path / "student.skd")
    np.testing.assert_array_equal(loaded.predict_proba(X), student.predict_proba(X))


@pytest.mark.parametrize("kind", ["mlp", "mlp_regressor"])
def test_a_loaded_network_goes_on_training_as_the_saved_one(students, kind, mixed_frame, tmp_path):
    student = students[kind]
    one, other = (roundtrip(student, tmp_path / "student.skd") for _ in range(2))
    other.coefs_, other.intercepts_ = student.coefs_, student.intercepts_
    other.encoding_, other.history_ = student.encoding_, student.history_
    frame, _, values = mixed_frame(200, seed=2)
    y = values if kind == "mlp_regressor" else student.predict(frame)
    one.partial_fit(frame, y)
    other.partial_fit(frame, y)
    assert one.n_iter_ == student.n_iter_ + 3
    np.testing.assert_array_equal(answers(one, frame), answers(other, frame))
    assert not np.array_equal(answers(one, frame), answers(student, frame))


@pytest.mark.usefixtures("close_figures")
def test_loaded_students_are_explained_and_drawn(students, mixed_frame, tmp_path):
    frame = mixed_frame(20)[0]
    for kind in "tree", "linear":
        loaded = roundtrip(students[kind], tmp_path / "student.skd")
        expected = explain(students[kind], frame, random_state=0)
        np.testing.assert_array_equal(
            explain(loaded, frame, random_state=0).values, expected.values
        )
    TreeDisplay.from_estimator(roundtrip(students["tree"], tmp_path / "student.skd"))


def test_of_a_distiller_or_a_search_the_student_is_saved(binary_task, forest, tmp_path):
    X, y = binary_task
    distiller = DistilledClassifier(forest, TreeStudentClassifier(), labelling="direct")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the teacher knows these rows
        search = GridSearchCV(distiller, {"temperature": [1.0, 2.0]}, cv=2).fit(X, y)
    for model in search, search.best_estimator_:
        loaded = roundtrip(model, tmp_path / "student.skd")
        assert type(loaded) is TreeStudentClassifier
        np.testing.assert_array_equal(loaded.predict_proba(X), search.predict_proba(X))


@pytest.mark.filterwarnings("default")
def test_parameters_without_a_plain_value_are_named_and_get_their_default(students, tmp_path):
    student = MLPStudentClassifier(
        (8, np.int64(4)), callbacks=[print], random_state=np.random.RandomState(0), verbose=2
    )
    vars(student).update({k: v for k, v in vars(students["mlp"]).items() if k.endswith("_")})
    with pytest.warns(UserWarning, match=r"\['callbacks', 'random_state'\] are neither"):
        loaded = roundtrip(student, tmp_path / "student.skd")
    assert loaded.callbacks is None
    assert loaded.random_state is None
    assert loaded.verbose == 2
    assert loaded.hidden_layer_sizes == (8, 4)


def test_what_cannot_be_saved_says_what_can(binary_task, mixed_frame, tmp_path):
    X, y = binary_task
    path = tmp_path / "student.skd"
    with pytest.raises(NotFittedError):
        save(TreeStudentClassifier(), path)
    with pytest.raises(TypeError, match="RandomForestClassifier; one of these was"):
        save(RandomForestClassifier(2).fit(X, y), path)
    with pytest.raises(TypeError, match="pipeline: StandardScaler -> TreeStudentClassifier"):
        save(make_pipeline(StandardScaler(), TreeStudentClassifier()).fit(X, y), path)
    with pytest.raises(TypeError, match=r"subclass of one of skdistill's.*joblib\.dump"):
        save(type("Mine", (TreeStudentClassifier,), {})().fit(X, y), path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        save(TreeStudentClassifier().fit(X, y), tmp_path / "nowhere" / "student.skd")
    frame, y, _ = mixed_frame()
    frame["range"] = pd.cut(frame["amount"], 3)
    with pytest.raises(ValueError, match="column 'range' has a level of type Interval; strings"):
        save(TreeStudentClassifier().fit(frame, y), path)
    assert not path.exists()


def test_text_that_is_no_unicode_is_not_saved(tmp_path):
    X = np.array([["\ud800"], ["b"]] * 20, dtype=object)
    student = LinearStudentClassifier().fit(X, [0, 1] * 20)
    with pytest.raises(ValueError, match="column 'x0' has a level of type str"):
        save(student, tmp_path / "student.skd")


def test_an_older_file_is_replaced(students, tmp_path):
    path = tmp_path / "student.skd"
    path.write_bytes(b"older")
    save(students["tree"], path)
    assert list(tmp_path.iterdir()) == [path]
    assert type(load(str(path))) is TreeStudentClassifier


def test_a_file_too_large_is_neither_written_nor_read(students, tmp_path, monkeypatch):
    path = tmp_path / "student.skd"
    save(students["mlp"], path)
    monkeypatch.setattr(student_file, "MAX_BYTES", 1000)
    with pytest.raises(StudentFileError, match=r"takes .* bytes; a student may take 1,000"):
        save(students["mlp"], path)
    with pytest.raises(StudentFileError, match="bytes; a student may take 1,000"):
        load(path)
    monkeypatch.undo()
    monkeypatch.setattr(student_file, "MAX_HEADER_BYTES", 100)
    with pytest.raises(StudentFileError, match="as JSON; 100 are allowed"):
        load(path)


def test_reading_needs_numpy_alone(students, tmp_path):
    save(students["mlp"], tmp_path / "student.skd")
    program = (
        "import sys; from skdistill.scorer.student_file import read_student_file;"
        "from skdistill.scorer.student_content import StudentContent, lean_model;"
        f"lean_model(read_student_file({str(tmp_path / 'student.skd')!r}));"
        "new = {name.partition('.')[0] for name in sys.modules};"
        "assert not new & {'scipy', 'sklearn', 'joblib', 'zipfile', 'narwhals'}, new"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@each_kind
def test_the_layout_is_that_of_safetensors(students, kind):
    # https://github.com/huggingface/safetensors#format: text to text in __metadata__, one table
    # entry per array, offsets relative to the end of the header, and no byte unused.
    payload = payload_of(students[kind])
    size = int.from_bytes(payload[:8], "little")
    header = json.loads(payload[8 : 8 + size])
    metadata = header.pop("__metadata__")
    assert all(type(value) is str for value in metadata.values())
    arrays, end = student_content(students[kind]).arrays, 0
    assert set(header) == set(arrays)
    codes = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "BOOL": "?"}
    for name, entry in header.items():
        begin, end = end, entry["data_offsets"][1]
        assert entry["data_offsets"][0] == begin
        block = np.frombuffer(payload[8 + size :][begin:end], codes[entry["dtype"]])
        np.testing.assert_array_equal(block.reshape(entry["shape"]), arrays[name])
    assert 8 + size + end == len(payload)


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        (1, "tree"),
        (1, "linear_regressor"),
        (1, "mlp"),
        (2, "soft_tree"),
        (3, "pairs"),
        (3, "tree_sum"),
        (3, "tree_sum_regressor"),
    ],
)
def test_files_of_every_version_are_still_read(version, kind):
    # Written by skdistill 0.1.0, versions 2 and 3 while it was developed; never write them anew.
    expected = json.loads((GOLDEN / f"version_{version}.json").read_text())[kind]
    path = GOLDEN / f"version_{version}_{kind}.skd"
    rows = pd.DataFrame(expected["rows"])
    np.testing.assert_allclose(answers(load(path), rows), expected["answers"], rtol=1e-6)
    assert fingerprint(lean_model(read_student_file(path))) == expected["fingerprint"]


@pytest.mark.parametrize("kind", ["tree", "linear_regressor", "mlp"])
def test_what_older_versions_know_is_written_as_they_can_read_it(kind):
    # A new parameter belongs into `later_params` of its kind: older versions refuse it.
    old = read_student_file(GOLDEN / f"version_1_{kind}.skd")
    payload = payload_of(student_from(old))
    assert version_in(payload) == "1"
    assert set(unpack(payload).header) == set(old.header)
    assert set(unpack(payload).header["params"]) <= set(old.header["params"])


def version_in(payload):
    return json.loads(payload[8 : 8 + int.from_bytes(payload[:8], "little")])["__metadata__"][
        "version"
    ]


def test_tables_sums_and_their_parameters_need_version_3(students):
    assert version_in(payload_of(students["pairs"])) == "3"
    assert version_in(payload_of(students["tree_sum_regressor"])) == "3"
    assert version_in(payload_of(students["linear"])) == "1"
    asked = copy.deepcopy(students["linear"]).set_params(interactions="auto")
    assert version_in(payload_of(asked)) == "3"
    assert student_from(unpack(payload_of(asked))).interactions == "auto"
    greedy = copy.deepcopy(students["tree"]).set_params(lookahead=False)
    assert version_in(payload_of(greedy)) == "3"
    assert student_from(unpack(payload_of(greedy))).lookahead is False


def test_pairs_of_columns_are_kept_as_a_parameter(students, tmp_path):
    student = students["pairs_regressor"]
    loaded = roundtrip(student, tmp_path / "student.skd")
    assert loaded.interactions == (("amount", "city"), (0, 1), ("flag", "city"))
    assert loaded.interactions_ == student.interactions_
    assert len(loaded.tables_) == len(student.tables_) > 1


@each_kind
def test_joblib_keeps_every_student(students, kind, mixed_frame, tmp_path):
    joblib.dump(students[kind], tmp_path / "student.joblib")
    loaded, frame = joblib.load(tmp_path / "student.joblib"), mixed_frame()[0]
    np.testing.assert_array_equal(answers(loaded, frame), answers(students[kind], frame))


def test_skops_loads_every_student_with_the_trusted_types_and_needs_each(students, mixed_frame):
    skops = pytest.importorskip("skops.io")
    frame, needed = mixed_frame()[0], set()
    for student in students.values():
        answers(student, frame)
        data = skops.dumps(student)
        needed |= set(skops.get_untrusted_types(data=data))
        loaded = skops.loads(data, trusted=SKOPS_TRUSTED_TYPES)
        np.testing.assert_array_equal(answers(loaded, frame), answers(student, frame))
    assert sorted(needed) == sorted(SKOPS_TRUSTED_TYPES)


def test_labels_may_be_objects_of_numpy(rng, tmp_path):
    X = rng.normal(size=(60, 2))
    classes = np.array([np.str_("no"), np.str_("yes")], dtype=object)
    student = TreeStudentClassifier().fit(X, classes[(X[:, 0] > 0).astype(int)])
    assert isinstance(student.classes_[0], np.str_)
    save(student, tmp_path / "s.skd")
    loaded = load(tmp_path / "s.skd")
    assert loaded.predict(X).tolist() == student.predict(X).tolist()
    assert [type(each) for each in loaded.classes_] == [str, str]
