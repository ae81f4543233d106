"""Mutual learning: a cohort of students that teach each other, with or without a teacher."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags

from skdistill.distill.base import CONSTRAINTS, ClassifierDistiller, rows_for
from skdistill.distill.cohort import Course, cohort_of, hold_out, mean_losses, unanswered_rows
from skdistill.distill.label_correction import silenced
from skdistill.distill.stages import choose_augmentation
from skdistill.estimators import last_step
from skdistill.parameters import Interval
from skdistill.progress import begin, refuse_callbacks, with_callbacks
from skdistill.rows import SeenRows, check_classification_rows, observed_rows
from skdistill.students.base import stated
from skdistill.teacher.asking import is_fitted, with_seeds
from skdistill.teacher.fitting import check_teacher
from skdistill.teacher.labelling import folds
from skdistill.teacher.lazy_teacher import LazyClassifier
from skdistill.verbose import note

#: Parameters of distillers of one student that this one does not have.
_NOT_TAKEN = {"student", "label_correction"}


class MutualDistilledClassifier(ClassifierDistiller):
    """Let a cohort of students teach each other, with or without a teacher, and keep the best.

    Every student first learns alone: from the observed classes, or from the teacher if there is
    one. Then, round by round, each learns from the predictions of its peers. They also label
    synthetic and unlabelled rows, so that no teacher is needed for them. The best student predicts:
    one small model, as after any distillation.

    Parameters
    ----------
    students : list of estimator, list of tuple (str, estimator), or estimator
        Students of skdistill, other classifiers that take ``sample_weight``, or pipelines. Two or
        more, which may differ in kind; a single one is cloned `n_students` times.
    n_students : int or None, default=None
        Number of clones of a single student; None for 3. The clones differ by their seeds only: the
        first keeps its ``random_state``, the others get one each. Must be None for a list.
    teacher : estimator or None, default=None
        A classifier, fitted or not, that teaches together with the peers, see
        `DistilledClassifier`.
    n_rounds : int, default=3
        Largest number of times that each student learns from its peers; see `n_rounds_`.
    peer_weight : float, default=0.5
        Share of the peers in the soft labels, above 0 and at most 1; the teacher has the rest.
        Without a teacher the peers have all of it.
    temperature : float, default=1.0
        Softens the predictions of peers and teacher, and of the student that learns from them.
    alpha : float, default=0.8
        Weight of the soft term of the loss, in (0, 1]; the hard term on observed classes has the
        rest.
    labelling : {"auto", "direct", "oob", "cross_fit"}, default="auto"
        How the teacher labels the labelled rows, see `DistilledClassifier`.
    augmentation : None, "auto" or object with ``sample``, default="auto"
        Makes synthetic rows. "auto" is `Munge()` if one of the students gains from them.
    cv : int, cross-validation generator or iterable, default=5
        Students are compared on the first fold of the labelled rows: a second cohort learns without
        it, which doubles the cost. Also the folds of `labelling`.
    memory : str, joblib.Memory or None, default=None
        Caches the teacher's margins.
    n_jobs : int or None, default=None
        Students to fit at a time.
    random_state : int, RandomState instance or None, default=None
        Determines the synthetic rows, and everything random in teacher and students where their
        ``random_state`` is None.
    verbose : int, default=0
        Whether to print the rounds with their seconds on stderr.

    Attributes
    ----------
    student_ : estimator
        The student with the lowest held-out loss, which reports and exports take.
    students_ : list of estimator
        All fitted students, in the order given; see `cohort_proba`.
    names_ : list of str
        Their names: those given, else the kind of student and its number.
    best_index_ : int
        Position of `student_` among them.
    n_rounds_ : int
        The round in which `student_` was best, after which the cohort stopped; 0 if students did
        not improve by learning from each other.
    losses_ : ndarray of shape (n_rounds + 1, n_students)
        Log loss in nats of the students of the second cohort on the rows held out from it: after
        they learned alone, then after every round. Where no class was observed at all, the cross
        entropy to the teacher's probabilities.
    classes_ : ndarray of shape (n_classes,)
        The class labels: those that a fitted teacher knows, else those observed.
    temperature_ : float
        The temperature that was used.
    labelling_ : {"oob", "cross_fit", "direct"}
        How the teacher labelled the labelled rows; "direct" without a teacher.
    label_correction_ : None
        Labels are not corrected here.
    augmentation_ : object or None
        What made the synthetic rows.
    transfer_summary_ : dict
        Number, total weight and labelling of the labelled, unlabelled and synthetic rows.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    DistilledClassifier : One student learns from a teacher.

    Notes
    -----
    In a round, student i minimises over rows with weight w

        w * (alpha * T**2 * KL(r_i || softmax(s_i / T)) + (1 - alpha) * CE(y, softmax(s_i)))

    with ``r_i = b * mean_j softmax(s_j / T) + (1 - b) * softmax(z / T)``, where j runs over its
    peers, s_j are their margins of the round before, z the teacher's and b is `peer_weight` (1
    without a teacher). The KL divergence to the mean differs only by a constant from the mean of
    the divergences to each peer, the loss of deep mutual learning. There, all students step
    together; here each trains to its end against peers that do not change meanwhile, which is
    codistillation with stale predictions and allows students of any kind. A student that has
    ``partial_distill``, as the MLP, is trained further; others are fitted again.

    As in both papers, peers also label rows whose classes they have learned. Labels of further
    cohorts, fitted without those classes, were measured as well: they were no better, at several
    times the cost. A student that has memorised its rows, however, only teaches their observed
    classes, unless there are unlabelled or synthetic rows. Identical students, clones of one
    without randomness, learn their own predictions.

    References
    ----------
    Zhang, Xiang, Hospedales and Lu, "Deep Mutual Learning", CVPR 2018, arXiv:1706.00384. Anil et
    al., "Large Scale Distributed Neural Network Training through Online Distillation", ICLR 2018,
    arXiv:1804.03235.

    Examples
    --------
    A tree and an additive model that teach each other:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from skdistill import LinearStudentClassifier, MutualDistilledClassifier
    >>> from skdistill import TreeStudentClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> students = [("tree", TreeStudentClassifier()), ("additive", LinearStudentClassifier())]
    >>> model = MutualDistilledClassifier(students, n_rounds=1, random_state=0).fit(X, y)
    >>> model.names_[model.best_index_]
    'additive'
    >>> model.losses_.shape
    (2, 2)
    """

    # Pipelines hand X_unlabeled on without set_fit_request.
    __metadata_request__fit = {"X_unlabeled": True}

    _parameter_constraints = {
        **{name: CONSTRAINTS[name] for name in CONSTRAINTS if name not in _NOT_TAKEN},
        "students": "no_validation",  # by cohort_of
        "n_students": [Interval(Integral, 2, None, closed="left"), None],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "peer_weight": [Interval(Real, 0.0, 1.0, closed="right")],
        "temperature": [Interval(Real, 0.0, None, closed="neither")],
        "alpha": [Interval(Real, 0.0, 1.0, closed="right")],
    }

    # Parameters that distillers of one student have.
    student, label_correction = None, False

    def __init__(
        self,
        students,
        *,
        n_students=None,
        teacher=None,
        n_rounds=3,
        peer_weight=0.5,
        temperature=1.0,
        alpha=0.8,
        labelling="auto",
        augmentation="auto",
        cv=5,
        memory=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.students = students
        self.n_students = n_students
        self.teacher = teacher
        self.n_rounds = n_rounds
        self.peer_weight = peer_weight
        self.temperature = temperature
        self.alpha = alpha
        self.labelling = labelling
        self.augmentation = augmentation
        self.cv = cv
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X, y, sample_weight=None, X_unlabeled=None):
        """Let the students learn alone, then from each other.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns: what teacher and students take.
        y : array-like of shape (n_samples,)
            Classes; -1 marks rows without one, also among strings in an object array (unless a
            fitted teacher knows a class -1). All may be -1 if the teacher is fitted.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        X_unlabeled : table with the columns of X, or tuple of tables, default=None
            More rows without a class, labelled by the peers and by the teacher if there is one.
            They weigh as much as a labelled row on average.

        Returns
        -------
        self : object
            The fitted cohort.

        Raises
        ------
        TypeError
            If a student, or the teacher, is no classifier with ``predict_proba``, or takes no
            weights though there are some.
        ValueError
            If there are fewer than two students, or a parameter, the rows, the classes or the
            weights are not what is described here.
        """
        self._validate_params()
        self.names_, students = cohort_of(self.students, self.n_students)
        for student in students:
            refuse_callbacks(last_step(student), self)
        teacher, students = self._seeded(students)
        rows = check_classification_rows(
            self, X, y, sample_weight, X_unlabeled, **self._takes_with(teacher)
        )
        cv = self._cv()
        task = begin(self, n_parts=2 if teacher is None else 5, **observed_rows(rows))
        transfer_set = self._rows_to_learn(teacher, students, rows, cv, task)
        course = Course(
            students,
            teacher is not None,
            self.temperature,
            self.alpha,
            self.peer_weight,
            self.n_jobs,
        )
        with task.part("judge-students", n_parts=self.n_rounds + 1) as judging:
            held_out = folds(cv, rows.X, rows.y, True)[0][1]
            self.losses_ = self._judge(course, transfer_set, held_out, judging)
        self.n_rounds_, self.best_index_ = (
            int(best) for best in np.unravel_index(np.argmin(self.losses_), self.losses_.shape)
        )
        rounds = course.rounds(transfer_set)
        with task.part("fit-students", n_parts=self.n_rounds_ + 1) as fitting:
            for _ in range(self.n_rounds_ + 1):
                self.students_ = fitting.run("round", next, rounds)
        self.student_ = self.students_[self.best_index_]
        note(f"kept {self.names_[self.best_index_]} after {self.n_rounds_} rounds")
        task.end(reconstruction_attributes={}, **observed_rows(rows))
        return self

    def cohort_proba(self, X):
        """Predict the mean probability of all students.

        It is often slightly better than that of the best student, at the cost of all of them.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            One column per class, in the order of ``classes_``.
        """
        checked = self._checked(X)
        answers = [student.predict_proba(rows_for(student, checked)) for student in self.students_]
        return np.mean(answers, axis=0)

    @property
    def teacher_(self):
        """The fitted teacher: the one given, or the clone that was fitted."""
        if self.teacher is None:
            raise AttributeError("teacher_ is not there: the cohort learned without a teacher.")
        return super().teacher_

    def _judge(self, course, transfer_set, rows, task):
        """Return the losses by round of a cohort that learns without some labelled rows."""
        quiet = replace(course, students=[silenced(student) for student in course.students])
        transfer_set, held_out = hold_out(transfer_set, rows, course.has_teacher)
        losses, rounds = [], quiet.rounds(transfer_set)
        for _ in range(self.n_rounds + 1):
            with task.part("round"):
                losses.append(mean_losses(next(rounds), held_out))
                note(f"held-out log loss {min(losses[-1]):.4g} at best")
        return np.array(losses)

    def _seeded(self, students):
        """Return teacher and students, with seeds derived from `random_state`."""
        teacher = self.teacher
        if teacher is not None:
            check_teacher(teacher, "classifier")
        if self.random_state is None:
            return teacher, students
        random_state = check_random_state(self.random_state)
        if teacher is not None and not is_fitted(teacher):
            teacher = with_seeds(clone(teacher), random_state)
        return teacher, [with_seeds(student, random_state) for student in students]

    def _rows_to_learn(self, teacher, students, rows, cv, task):
        """Build the transfer set, without margins if there is no teacher."""
        gaining = [each for each in students if stated(each, "gains_from_synthetic_rows")]
        student = gaining[0] if gaining else students[0]
        if teacher is not None:
            lazy_teacher = LazyClassifier(teacher, rows)
            transfer_set = self._label(lazy_teacher, student, rows, cv, task)
            self._teacher = lazy_teacher.fitted if lazy_teacher.is_ready else None
        else:
            self._teacher, self.label_correction_ = None, None
            self._seen_rows = SeenRows.of(rows.X, rows.pool)
            self.augmentation_ = choose_augmentation(self.augmentation, student, rows)
            transfer_set = unanswered_rows(rows, self.augmentation_, self.random_state)
        self.classes_, self.temperature_ = transfer_set.classes, float(self.temperature)
        self.labelling_, self.transfer_summary_ = transfer_set.labelling, transfer_set.summary()
        return transfer_set

    def __sklearn_tags__(self):
        """Return the scikit-learn tags, with the input that all students take."""
        tags = super().__sklearn_tags__()
        students = self.students if isinstance(self.students, list) else [self.students]
        students = [s[1] if isinstance(s, tuple) and len(s) == 2 else s for s in students]
        for name in ("allow_nan", "string", "categorical"):
            takes = all(_takes(student, name) for student in students)
            setattr(tags.input_tags, name, takes and getattr(tags.input_tags, name))
        return tags


def _takes(student, name):
    """Tell whether a student takes a kind of input; the tags of a Pipeline are unreliable."""
    if isinstance(student, Pipeline):
        return True
    has_tags = hasattr(student, "__sklearn_tags__") and not isinstance(student, type)
    return has_tags and getattr(get_tags(student).input_tags, name)
