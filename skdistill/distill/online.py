"""Distil a teacher while it grows."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np

from skdistill.columns import stack_rows, take_rows
from skdistill.distill.base import CONSTRAINTS, ClassifierDistiller
from skdistill.distill.stages import choose_augmentation, label_fresh_rows, with_synthetic_rows
from skdistill.distill.synthetic_rows import make_synthetic_rows
from skdistill.estimators import last_step
from skdistill.parameters import Interval
from skdistill.progress import Task, begin, with_callbacks
from skdistill.rows import (
    SeenRows,
    check_classes,
    check_classification_rows,
    check_weights,
    observed_rows,
    warn_of_seen_rows,
)
from skdistill.students.fitting import (
    distill_classifier,
    distill_classifier_further,
    learns_unknown_levels,
)
from skdistill.students.mlp import MLPStudentClassifier
from skdistill.teacher.asking import is_fitted_instance
from skdistill.teacher.growing import (
    check_growing,
    check_growing_on,
    check_grown,
    count_trees,
    first_trees,
    grown,
    stage_sizes,
    trees_asked,
)
from skdistill.teacher.labelling import folds, warn_of_known_rows, warn_of_training_rows
from skdistill.teacher.lazy_teacher import LazyClassifier
from skdistill.teacher.margins import PROBE_ROWS, join_answers
from skdistill.teacher.vendors.trees import spread
from skdistill.transfer_set import join, not_observed
from skdistill.verbose import note, stage, verbose

#: Number of folds whose rows are labelled by clones of an unfitted teacher fitted without them.
N_FOLDS = 5

#: Weight of an earlier row of a class that a batch lacks, as a share of that of a row of the batch.
REMEMBERED_WEIGHT = 1e-6


class OnlineDistilledClassifier(ClassifierDistiller):
    """Distil a teacher while it grows: stage by stage, and batch by batch.

    A boosting model, or a forest, gets its trees one after the other. The student learns from the
    first trees and is trained further when there are more: it follows the teacher from coarse to
    fine. When new rows arrive, `partial_fit` lets the teacher grow on them and the student follow;
    neither is fitted again from the start.

    This is for streams. For its value in a single `fit` see ``docs/techniques.md``;
    `DistilledClassifier` is simpler.

    Parameters
    ----------
    teacher : estimator
        A random forest, extra trees, GradientBoostingClassifier or HistGradientBoostingClassifier
        of scikit-learn, an XGBoost, LightGBM or CatBoost classifier, or a Pipeline that ends in
        one. Not fitted: a clone is fitted. Fitted: the stages are its first trees; it is never
        changed, as `partial_fit` grows a copy.
    student : estimator or None, default=None
        A student that can be trained further, see `MLPStudentClassifier.partial_distill`, or a
        Pipeline that ends in one. None is `MLPStudentClassifier()`.
    n_stages : int, default=5
        Number of stages of `fit`, each of which adds the same number of the teacher's trees.
        `partial_fit` adds as many with every batch.
    temperature : float, default=1.0
        Divides the margins of teacher and student in the soft term of the loss; predictions always
        use 1.
    alpha : float, default=0.8
        Weight of the soft term of the loss, in [0, 1]; the hard term on observed classes has the
        rest.
    augmentation : None, "auto" or object with ``sample``, default="auto"
        Makes synthetic rows, see `Munge`. "auto" is `Munge()` for students that gain from it (the
        MLP) and dense X, else None.
    random_state : int, RandomState instance or None, default=None
        Determines the synthetic rows, and everything random in teacher and student where their
        ``random_state`` is None.
    verbose : int, default=0
        Whether to print the stages with their seconds on stderr, including those of the student's
        training, and a bar where something takes more than five seconds.

    Attributes
    ----------
    teacher_ : estimator
        The fitted teacher with all its trees.
    student_ : estimator
        The fitted student, without a reference to the teacher.
    classes_ : ndarray of shape (n_classes,)
        The class labels: those that a fitted teacher knows, else those observed.
    temperature_ : float
        The temperature that was used.
    stage_trees_ : list of int
        Number of trees (boosting iterations) of the teacher at each stage, including those of
        `partial_fit`.
    labelling_ : {"cross_fit", "direct"}
        How the labelled rows of `fit` were labelled.
    augmentation_ : object or None
        What made the synthetic rows.
    transfer_summary_ : dict
        For labelled, unlabelled and synthetic rows of `fit`: their number, total weight and
        labelling.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    DistilledClassifier : Distils the final teacher. Its ``partial_fit`` does not change the
        teacher.

    Notes
    -----
    Let z_k be the margins of the teacher's first k trees. In stage s of S the student, with margins
    u, is trained further and minimises over rows of weight w

        w * (alpha * T**2 * KL(q_k || softmax(u / T)) + (1 - alpha) * CE(y, softmax(u))),
        q_k = softmax(z_k / T), k = ceil(n_trees * s / S);

    rows without an observed class have only the first term. Every stage takes as many steps as a
    fit of the student, so give it a smaller ``max_epochs``.

    On the rows that it grows on, a teacher predicts nearly their observed classes. In `fit` the
    labelled rows are labelled by clones of an unfitted teacher, one per fold, none of which was
    fitted on the row. In `partial_fit` the teacher labels a batch before it grows on it
    (prequential); synthetic rows made from the batch are labelled by the grown teacher, so that the
    student learns what the teacher has learned.

    The teacher grows on the classes it knows: the first batch must have all of them. Where a later
    batch lacks some, one earlier row of each is added, with almost no weight. A forest grows by
    trees of the last batch alone. HistGradientBoostingClassifier cannot grow on other rows.

    References
    ----------
    Jin et al., "Knowledge Distillation via Route Constrained Optimization", ICCV 2019,
    arXiv:1904.09149, whose student follows checkpoints of the teacher's training. Mirzadeh et al.,
    "Improved Knowledge Distillation via Teacher Assistant", AAAI 2020, arXiv:1902.03393, for
    teachers between a student and a far better one. Anil et al., "Large Scale Distributed Neural
    Network Training through Online Distillation", ICLR 2018, arXiv:1804.03235, whose models learn
    from each other while all are trained. Dawid, "Statistical Theory: The Prequential Approach",
    JRSS A 147 (1984), doi:10.2307/2981683.

    Examples
    --------
    Two batches of rows; the teacher grows by a fifth of its trees with the second:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import GradientBoostingClassifier
    >>> from skdistill import MLPStudentClassifier, OnlineDistilledClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> student = MLPStudentClassifier((16,), max_epochs=3)
    >>> teacher = GradientBoostingClassifier(n_estimators=20)
    >>> model = OnlineDistilledClassifier(teacher, student, random_state=0)
    >>> model = model.partial_fit(X[:300], y[:300])
    >>> model.partial_fit(X[300:], y[300:]).stage_trees_
    [4, 8, 12, 16, 20, 24]
    """

    # Pipelines hand X_unlabeled on without set_fit_request.
    __metadata_request__fit = {"X_unlabeled": True}

    _default_student = MLPStudentClassifier

    _parameter_constraints = {
        **{
            name: CONSTRAINTS[name]
            for name in ("teacher", "student", "alpha", "augmentation", "random_state", "verbose")
        },
        "n_stages": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0.0, None, closed="neither")],
    }

    def __init__(
        self,
        teacher,
        student=None,
        *,
        n_stages=5,
        temperature=1.0,
        alpha=0.8,
        augmentation="auto",
        random_state=None,
        verbose=0,
    ):
        self.teacher = teacher
        self.student = student
        self.n_stages = n_stages
        self.temperature = temperature
        self.alpha = alpha
        self.augmentation = augmentation
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X, y, sample_weight=None, X_unlabeled=None):
        """Distil the teacher, stage by stage, into the student.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns: what teacher and student take.
        y : array-like of shape (n_samples,)
            Classes; -1 marks rows without one, also among strings in an object array (unless a
            fitted teacher knows a class -1). All may be -1 if the teacher is fitted.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, for the teacher (if it is fitted here) and the student.
        X_unlabeled : table with the columns of X, or tuple of tables, default=None
            More rows without a class. They weigh as much as a labelled row on average.

        Returns
        -------
        self : object
            The fitted distiller.

        Raises
        ------
        TypeError
            If the teacher does not grow tree by tree, or the student cannot be trained further.
        ValueError
            If a parameter, the rows, the classes, the weights or the teacher's predictions are not
            what is described here.
        """
        self._validate_params()
        teacher, student = self._members("classifier")
        check_growing(teacher)
        _check_goes_on(student)
        rows = check_classification_rows(
            self, X, y, sample_weight, X_unlabeled, **self._takes_with(teacher)
        )
        lazy_teacher = LazyClassifier(teacher, rows)
        task = begin(self, n_parts=2 + self.n_stages, **observed_rows(rows))
        self.augmentation_ = choose_augmentation(self.augmentation, student, rows)
        with task.part("fit-teacher"):
            note(f"{type(last_step(teacher)).__name__} on {rows.X.shape[0]:,} rows")
            teacher = lazy_teacher.fitted.estimator
        made = make_synthetic_rows(
            lazy_teacher.fitted,
            rows.X,
            rows.sample_weight,
            pool=rows.pool,
            augmentation=self.augmentation_,
            with_unknown=self.augmentation is not None and learns_unknown_levels(student),
            random_state=self.random_state,
        )
        self.stage_trees_ = stage_sizes(count_trees(teacher), self.n_stages)
        self.labelling_, honest = task.run(
            "label-rows", _honest_margins, lazy_teacher, self.stage_trees_
        )
        self.student_ = None
        for n_trees, margins in zip(self.stage_trees_, honest, strict=True):
            transfer_set = _transfer_set(lazy_teacher, n_trees, margins, self.labelling_, made)
            with stage(f"distil {n_trees} trees"):
                if self.student_ is None:
                    self.student_ = distill_classifier(
                        student, transfer_set, self.temperature, self.alpha, task=task
                    )
                else:
                    self._follow(transfer_set, task)
        self.classes_, self.temperature_ = lazy_teacher.classes, float(self.temperature)
        self.transfer_summary_ = transfer_set.summary()
        self._teacher = lazy_teacher.fitted
        self._seen_rows = SeenRows.of(rows.X, rows.pool)  # for reports
        self._grown_on = SeenRows.of(rows.X[:0] if lazy_teacher.was_fitted else rows.X)
        self._first_rows = take_rows(rows.X, spread(rows.X.shape[0], PROBE_ROWS))
        self._remembered = {}
        self._remember(rows.X, lazy_teacher.encoded_y())
        task.end(reconstruction_attributes={}, **observed_rows(rows))
        return self

    @verbose
    def partial_fit(self, X, y=None, classes=None, sample_weight=None):
        """Let the teacher grow on a batch of rows, and the student follow; the first call is `fit`.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows that the teacher has not seen.
        y : array-like of shape (n_samples,) or None, default=None
            Classes, -1 where none was observed; None if none was observed at all. Then the teacher
            does not grow, and the student learns it on these rows.
        classes : array-like of shape (n_classes,) or None, default=None
            All classes, those of a fitted teacher or of the first y; a teacher cannot learn more.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The distiller, with another ``teacher_`` and a changed ``student_``.

        Raises
        ------
        TypeError
            If the teacher cannot grow on rows other than its first ones.
        ValueError
            If X, y or the weights are not what is described here.
        """
        if not hasattr(self, "student_"):
            return self._fit_first_batch(X, y, classes, sample_weight)
        self._validate_params()
        check_classes(classes, self.classes_)
        X = self._check_X(X)
        codes = self._observed(y, X)
        weight = check_weights(sample_weight, X)
        if is_fitted_instance(self.teacher):
            warn_of_known_rows(self.teacher, X)
        has_classes = (codes >= 0) & (weight > 0)
        if has_classes.any():
            check_growing_on(self.teacher_)
        before = self._teacher
        batch = label_fresh_rows(before, X, codes, weight, self.classes_)
        after = before
        if has_classes.any():
            labelled = batch.take(has_classes)
            warn_of_seen_rows(
                self._grown_on,
                labelled.X,
                "The teacher learns them again and becomes overconfident on them. Pass rows that "
                "it has not seen.",
            )
            after = self._grown(labelled)
            check_grown(before, after, self._first_rows)
        followed = with_synthetic_rows(
            batch, after, self.augmentation_, self.student_, self.random_state
        )
        self._follow(followed, Task(self))
        if after is not before:  # only now: nothing is lost if the student fails
            self._teacher = after
            self.stage_trees_ = [*self.stage_trees_, count_trees(after.estimator)]
            self._grown_on = self._grown_on.including(labelled.X)
        self._seen_rows = self._seen_rows.including(X)
        return self

    def _follow(self, transfer_set, task):
        distill_classifier_further(self.student_, transfer_set, self.temperature, self.alpha, task)

    def _grown(self, labelled):
        """Let a copy of the teacher grow on labelled rows."""
        self._remember(labelled.X, labelled.y)
        X, codes, weight = self._with_every_class(labelled)
        estimator, labels = self._teacher.estimator, self._teacher.labels
        position = {label: k for k, label in enumerate(labels.tolist())}
        own = np.array([position[label] for label in self.classes_.tolist()])
        y = np.asarray(estimator.classes_)[own[codes]]  # the estimator may name them differently
        n_trees = -(-trees_asked(self.teacher) // self.n_stages)
        with stage("grow-teacher"):
            note(f"{type(last_step(estimator)).__name__} by {n_trees} trees")
            return replace(self._teacher, estimator=grown(estimator, n_trees, X, y, weight))

    def _remember(self, X, codes):
        """Keep one row of every class."""
        for code in np.unique(codes[codes >= 0]).tolist():
            self._remembered[code] = take_rows(X, np.flatnonzero(codes == code)[:1])

    def _with_every_class(self, labelled):
        """Add an earlier row, with almost no weight, of every class that is missing."""
        lacking = sorted(set(range(len(self.classes_))) - set(labelled.y.tolist()))
        unknown = [self.classes_[code] for code in lacking if code not in self._remembered]
        if unknown:
            raise ValueError(
                f"No row of the classes {unknown}, which the teacher knows, has been passed so "
                "far; it can only grow on rows of all of its classes. Pass at least one of each."
            )
        X = stack_rows([labelled.X, *(self._remembered[code] for code in lacking)])
        light = np.full(len(lacking), REMEMBERED_WEIGHT * labelled.sample_weight.mean())
        return (
            X,
            np.concatenate([labelled.y, lacking]).astype(int),
            np.concatenate([labelled.sample_weight, light]),
        )


def _check_goes_on(student):
    last = last_step(student)
    if not hasattr(last, "partial_distill"):
        raise TypeError(
            f"student is {type(last).__name__}, which cannot go on learning when the teacher has "
            "grown. Students with partial_distill can, such as MLPStudentClassifier; for others "
            "use DistilledClassifier."
        )


def _honest_margins(lazy_teacher, sizes):
    """Label the labelled rows at every stage, see the notes of `OnlineDistilledClassifier`.

    Returns how they were labelled, "cross_fit" or "direct", and the margins of every stage.
    """
    rows = lazy_teacher.rows
    if lazy_teacher.was_fitted or len(lazy_teacher.classes) == 1 or len(rows.y) == 1:
        if lazy_teacher.was_fitted:
            warn_of_training_rows(lazy_teacher)
        return "direct", [_young(lazy_teacher.fitted, size).margins(rows.X) for size in sizes]
    stages, tests = [[] for _ in sizes], []
    for train, test in folds(N_FOLDS, rows.X, rows.y, True):
        weight = rows.sample_weight[train] if rows.has_weights else None
        clone = lazy_teacher.fit(take_rows(rows.X, train), rows.y[train], weight)
        for answers, size in zip(stages, sizes, strict=True):
            answers.append(_young(clone, size).answers(take_rows(rows.X, test)))
        tests.append(test)
    return "cross_fit", [join_answers(answers, tests).margins() for answers in stages]


def _young(teacher, n_trees):
    """Return a fitted teacher as it was with fewer trees."""
    n_trees = min(n_trees, count_trees(teacher.estimator))
    return replace(teacher, estimator=first_trees(teacher.estimator, n_trees))


def _transfer_set(lazy_teacher, n_trees, margins, labelling, made):
    """Build the transfer set of one stage."""
    rows, classes = lazy_teacher.rows, lazy_teacher.classes
    parts = [not_observed(rows.X, margins, rows.sample_weight, "unlabelled", classes)]
    if not rows.nothing_observed:
        origin = np.zeros(len(rows.y), dtype=int)
        parts = [replace(parts[0], y=lazy_teacher.encoded_y(), origin=origin, labelling=labelling)]
    young = _young(lazy_teacher.fitted, n_trees)
    if rows.pool is not None:
        parts.append(_labelled_by(young, rows.pool, rows.pool_weight, "unlabelled"))
    if made is not None:
        parts.append(_labelled_by(young, made.X, made.weight, "synthetic"))
    return join(parts)


def _labelled_by(teacher, X, weight, origin):
    return not_observed(X, teacher.margins(X), weight, origin, teacher.classes)
