"""Distil a classifier."""

from dataclasses import replace
from numbers import Integral, Real

from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_memory

from skdistill.distill.base import CONSTRAINTS, ClassifierDistiller, student_has
from skdistill.distill.class_prior import class_factors, log_factors, warn_if_far_off, weigh_classes
from skdistill.distill.hints.base import (
    Hint,
    compute_targets,
    compute_targets_in_fit,
    names_of_hints,
    without_weights,
)
from skdistill.distill.label_correction import silenced
from skdistill.distill.recalibration import (
    honest_recalibration,
    may_be_recalibrated,
    recalibration_on,
)
from skdistill.distill.row_alpha import choose_row_alpha, warn_of_refusal
from skdistill.distill.stages import choose_temperature, fingerprint_of
from skdistill.estimators import last_step
from skdistill.messages import recalled, refuse_class, shown
from skdistill.models import student_and_teacher
from skdistill.parameters import Interval, StrOptions
from skdistill.progress import Task, begin, with_callbacks
from skdistill.rows import (
    SeenRows,
    check_classes,
    check_classification_rows,
    check_something_observed,
    check_weights,
    observed_rows,
    warn_of_seen_rows,
)
from skdistill.soft_labels import LOSSES, HintTargets
from skdistill.students.fitting import (
    check_can_learn,
    distill_classifier,
    distill_classifier_further,
)
from skdistill.students.tree import TreeStudentClassifier
from skdistill.teacher.identity import content_key
from skdistill.teacher.lazy_teacher import LazyClassifier
from skdistill.transfer_set import not_observed
from skdistill.verbose import note, verbose


class DistilledClassifier(ClassifierDistiller):
    """Distil a tree ensemble, or any classifier, into a small student.

    The student is fitted to the teacher's probabilities on labelled, unlabelled and synthetic
    rows. Used inside Pipeline or GridSearchCV it behaves as any other classifier.

    Parameters
    ----------
    teacher : estimator
        A classifier with ``predict_proba``. Fitted: used as it is, also by clones; it is never
        refitted or changed. Not fitted: a clone is fitted on the labelled rows.
    student : estimator or None, default=None
        A student of skdistill, any classifier whose ``fit`` takes ``sample_weight`` (see
        `SoftLabelClassifier`), or a Pipeline that ends in one. None is `TreeStudentClassifier()`.
    temperature : float or "auto", default=1.0
        Divides the margins of teacher and student in the soft term of the loss; predictions always
        use 1. "auto" takes the temperature at which the teacher's honest margins predict the
        observed classes best.
    alpha : float or "auto", default=0.8
        Weight of the soft term of the loss, in [0, 1]; the hard term on observed classes has the
        rest. "auto" is for noisy labels and weak teachers: the less the teacher's honest prediction
        confirms the class of a row, the larger its alpha, from 0.8 to 1; and a teacher that
        predicts the observed classes significantly worse than clones of the student that are fitted
        to them alone is refused: alpha is 0 then, with a warning. There is no `label_correction` in
        either case.
    loss : {"kl", "logit_mse", "brier", "js"}, default="kl"
        The soft term, see the notes. All students take "kl"; linear students and networks
        "logit_mse"; networks any.
    hints : list or tuple of hints, default=()
        What `MLPStudentClassifier` also learns from the teacher, at most one of each family:

        - `LeafHint`: its last hidden layer predicts in which of the teacher's leaves a row falls;
        - `ProximityHint`: rows that share leaves of the teacher lie close together there;
        - `AttributionHint`: it attributes its predictions to the columns as the teacher's TreeSHAP
          values do;
        - `AdversarialHint`: a discriminator cannot distinguish its probabilities from the
          teacher's.

        For example, ``hints=[LeafHint(weight=0.1)]``.
    generations : int, default=1
        Number of students. Each but the first is fitted as the first was, but to the predictions of
        the student before it instead of the teacher's, and without hints; the last one is kept.
    labelling : {"auto", "direct", "oob", "cross_fit"}, default="auto"
        How the teacher labels the labelled rows. On rows it was fitted on its predictions are
        nearly the hard labels, from which a student learns little.

        - "oob": by the members of a bagging ensemble that were not fitted on the row. For a
          teacher fitted outside, X must be its training matrix in the same order; this is proved by
          replaying the bootstraps of some members. No step of a pipeline before it may learn from y
          or change rows.
        - "cross_fit": by clones of the teacher, each fitted on the other folds; those of a booster
          that stopped early have as many rounds as it has chosen.
        - "direct": by the teacher itself. Right for rows it was not fitted on; warns if its trees
          prove that it was.
        - "auto": "oob" where it is possible with at least 20 members, else "cross_fit" for a
          teacher that is fitted inside, else "direct", with a warning also where nothing is known.

        Rows that are copies of one another, as oversampling makes them, are held out together.
    label_correction : bool or "auto", default="auto"
        Whether to correct the teacher's labels by the observed classes. Clones of the student are
        fitted to those alone, each without one fold of `cv`, and the student learns from the
        weighted sum of the margins of teacher and clones that predicts the observed classes best.

        - "auto": for the students of this package, if the teacher is significantly worse than the
          sum, on at least 100 labelled rows. A teacher that is better than the clones is followed
          as it is, which takes one such fit instead of `cv`, by a network, and by all if it labels
          directly. Gain and cost are in ``label_correction_``; warns if one label in ten or more
          differs in its most probable class from the teacher.
        - True: always. The student may become better than its teacher, and less like it.
        - False: never. The student imitates the teacher.

        With ``alpha`` 1 or 0 nothing is corrected: the first is pure imitation, the second makes no
        use of the teacher. A teacher that labels directly the rows it was fitted on looks perfect
        there, and so "auto" does not correct it either.
    cv : int, cross-validation generator or iterable, default=5
        Folds of "cross_fit", as in scikit-learn, and of `label_correction`; for the former every
        row must be in one test fold.
    augmentation : None, "auto" or object with ``sample``, default="auto"
        Makes synthetic rows, see `Munge`. "auto" is `Munge()` for students that gain from it (the
        MLP) and dense X, else None. Unless it is None, there are also rows with nominal cells that
        are missing or of an unseen level, if the teacher accepts them and the student is one of
        skdistill: it learns what the teacher predicts for them, see ``docs/teachers.md``.
    prior_correction : dict, "auto" or None, default=None
        Corrects a teacher that was fitted on under- or oversampled rows, or with other weights, for
        the frequencies of the classes. It shifts the margins before they are softened.

        - "auto": the labelled rows, with their weights, represent the population. The margins are
          shifted so that the mean probability of every class is its observed share.
        - dict: the true share of every class, where the labelled rows were sampled as well.
          Margins and the weights of observed classes are corrected.
        - None: the student imitates the teacher's probabilities without correction.
    recalibration : bool or "auto", default="auto"
        Whether to restore the student's calibration by an affine map of its margins (Platt scaling;
        a temperature and a bias per class). The map is found on the labelled rows of one fold of
        `cv`, by a clone of the student that is fitted without them (and without synthetic rows,
        whose labels depend on them). It becomes part of the student's own parameters, so that every
        export has it.

        - "auto": where calibration can have suffered (at a temperature other than 1, by a loss
          other than "kl", and for students that are not of skdistill), if the student is
          significantly worse calibrated than its teacher. The check takes one more fit of the
          student.
        - True: always. False: never.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, in addition to their frequencies. They multiply the teacher's odds
        (its own fit gets no class weights) and the weights of the observed classes. The student
        then predicts as if the classes were more frequent by these factors.
    memory : str, joblib.Memory or None, default=None
        Caches the teacher's margins by data, parameters and teacher, so that a grid search over
        temperature, alpha or the student fits the teacher and predicts with it once per fold.
        Corrected margins are cached per student.
    n_jobs : int or None, default=None
        Folds or members to work on at a time.
    random_state : int, RandomState instance or None, default=None
        Determines the synthetic rows, and everything random in teacher and student where their
        ``random_state`` is None.
    verbose : int, default=0
        Whether to print the stages with their seconds on stderr, including those of the student's
        training, and a bar where something takes more than five seconds.

    Attributes
    ----------
    teacher_ : estimator
        The fitted teacher. Missing if the margins came from `memory`.
    student_ : estimator
        The fitted student. It predicts the user's own classes and holds no reference to the
        teacher. This is what goes to production.
    classes_ : ndarray of shape (n_classes,)
        The class labels: those that a fitted teacher knows, else those observed.
    temperature_ : float
        The temperature that was used.
    labelling_ : {"oob", "cross_fit", "direct"}
        How the labelled rows were labelled.
    margin_shift_ : ndarray of shape (n_classes,)
        What `prior_correction` and `class_weight` added to the teacher's margins, relative to the
        first class.
    recalibration_ : Recalibration or None
        The map of the student's margins and its losses; prints as a sentence. None if there is no
        map.
    alpha_choice_ : AlphaChoice or None
        What ``alpha="auto"`` chose; None if alpha is a number.
    label_correction_ : LabelCorrection or None
        Weights of teacher and student in the labels, their losses on held-out labelled rows, and
        agreement of the labels with the teacher's; prints as a sentence. None if the labels are
        the teacher's own.
    augmentation_ : object or None
        What made the synthetic rows.
    transfer_summary_ : dict
        For labelled, unlabelled and synthetic rows: their number, total weight and labelling,
        which for synthetic rows is "direct" or "half_oob", see the notes.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen at fit, if all were strings.

    See Also
    --------
    DistilledRegressor : The same for regression.
    Munge : Makes the synthetic rows.

    Notes
    -----
    The loss of a row with weight w, teacher's margins z and student's margins s is

        w * (alpha * T**2 * D(q, p) + (1 - alpha) * CE(y, softmax(s))),
        q = softmax(z / T), p = softmax(s / T),

    and rows without an observed class have only the first term. As `loss`, D is

    - "kl": KL(q || p);
    - "logit_mse": the limit of "kl" for T towards infinity, the squared distance of centred
      margins divided by ``2 * n_classes * T**2``. T has no effect then;
    - "brier": the squared distance of q and p;
    - "js": the Jensen-Shannon divergence of q and p, which penalises large differences less.

    The term of every hint, times its weight, is added to the mean loss of every batch.

    With ``generations=k`` the k-th student is a born-again network; a tree learns nothing new from
    a tree. When these techniques help was measured, see ``docs/techniques.md``.

    Synthetic rows are close to rows that a forest has memorised. Where labels are so noisy that the
    memorised label of a row is a poor prediction for its neighbours (measured on forests that have
    out-of-bag labels), half of the prediction for a synthetic row comes from the members that were
    not fitted on the row it was made from: "half_oob". Else, and for other teachers, all members
    predict.

    From scikit-learn 1.9 on, ``set_callbacks(ProgressBar(max_propagation_depth=None))``, here or on
    an estimator around it, shows the progress of stages and of a network's epochs.

    In a grid search ``X_unlabeled`` with as many rows as X would be split along with X by
    scikit-learn; pass a tuple, ``X_unlabeled=(pool,)``, to prevent that. Fitted teachers among the
    values of a grid are cloned by scikit-learn and so lose their fit; wrap them in
    ``FrozenEstimator``.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531. Saerens, Latinne and Decaestecker, "Adjusting the Outputs of a Classifier to
    New a Priori Probabilities", Neural Computation 14 (2002), doi:10.1162/089976602753284446, and
    Dal Pozzolo et al., "Calibrating Probability with Undersampling for Unbalanced Classification",
    SSCI 2015, doi:10.1109/SSCI.2015.33, for `prior_correction`. Liu and Tao, "Classification with
    Noisy Labels by Importance Reweighting", TPAMI 2016, arXiv:1411.7718, for ``alpha="auto"``.
    Furlanello et al., "Born-Again Neural Networks", ICML 2018, arXiv:1805.04770, for
    `generations`. Bucila, Caruana and
    Niculescu-Mizil, "Model Compression", KDD 2006, doi:10.1145/1150402.1150464. Genest and Zidek,
    "Combining Probability Distributions: A Critique and an Annotated Bibliography", Statistical
    Science 1986, doi:10.1214/ss/1177013825.

    Examples
    --------
    A forest as a tree of at most eight leaves:

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, TreeStudentClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> model = DistilledClassifier(forest, TreeStudentClassifier(8), random_state=0).fit(X, y)
    >>> model.labelling_
    'oob'
    >>> model.student_.n_leaves_
    8
    """

    # Pipelines hand X_unlabeled on without set_fit_request.
    __metadata_request__fit = {"X_unlabeled": True}

    _default_student = TreeStudentClassifier

    _parameter_constraints = {
        **CONSTRAINTS,
        "temperature": [Interval(Real, 0.0, None, closed="neither"), StrOptions({"auto"})],
        "alpha": [Interval(Real, 0.0, 1.0, closed="both"), StrOptions({"auto"})],
        "loss": [StrOptions(set(LOSSES))],
        "generations": [Interval(Integral, 1, None, closed="left")],
        "prior_correction": [dict, StrOptions({"auto"}), None],
        "recalibration": ["boolean", StrOptions({"auto"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        teacher,
        student=None,
        *,
        temperature=1.0,
        alpha=0.8,
        loss="kl",
        hints=(),
        generations=1,
        labelling="auto",
        label_correction="auto",
        cv=5,
        augmentation="auto",
        prior_correction=None,
        recalibration="auto",
        class_weight=None,
        memory=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.teacher = teacher
        self.student = student
        self.temperature = temperature
        self.alpha = alpha
        self.loss = loss
        self.hints = hints
        self.generations = generations
        self.labelling = labelling
        self.label_correction = label_correction
        self.cv = cv
        self.augmentation = augmentation
        self.prior_correction = prior_correction
        self.recalibration = recalibration
        self.class_weight = class_weight
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X, y, sample_weight=None, X_unlabeled=None):
        """Distil the teacher into the student.

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
            If teacher or student is no classifier with ``predict_proba``, or takes no weights
            though there are some.
        ValueError
            If a parameter, the rows, the classes, the weights or the teacher's predictions are not
            what is described here, or student and teacher look swapped, see Warns, and the student
            is fitted; before anything is fitted where that is possible.

        Warns
        -----
        UserWarning
            If the teacher is a single tree or additive student and the student an ensemble, or if y
            holds only one class.
        """
        self._validate_params()
        teacher, student = self._checked_members()
        rows = check_classification_rows(
            self, X, y, sample_weight, X_unlabeled, **self._takes_with(teacher)
        )
        check_something_observed(rows, self._needs_classes())
        lazy_teacher, cv = LazyClassifier(teacher, rows), self._cv()
        self._class_factors, self._class_weights = class_factors(
            lazy_teacher, self.prior_correction, self.class_weight
        )
        is_corrected = self.prior_correction is not None
        task = begin(self, n_parts=6 + self.generations, **observed_rows(rows))
        transfer_set = self._label(lazy_teacher, student, rows, cv, task, is_corrected)
        if not is_corrected and self.label_correction_ is None:
            warn_if_far_off(transfer_set)
        self.classes_ = transfer_set.classes
        self.temperature_ = choose_temperature(self.temperature, transfer_set)
        transfer_set = task.run("choose-alpha", self._choose_alpha, student, transfer_set, cv)
        transfer_set = weigh_classes(transfer_set, self._class_factors)
        transfer_set = task.run("ask-for-hints", self._add_hints, lazy_teacher, transfer_set)
        self.student_ = distill_classifier(
            student, transfer_set, self.temperature_, self._alpha, self.generations, task
        )
        self.recalibration_ = task.run("recalibrate", self._recalibrate, student, transfer_set, cv)
        shift = log_factors(self._class_factors)
        shift = shift if self._prior_shift is None else shift + self._prior_shift
        self.margin_shift_ = shift - shift[0]
        self._recalibrated_on = None
        self._finish(lazy_teacher, transfer_set)
        task.end(reconstruction_attributes={}, **observed_rows(rows))
        return self

    def _checked_members(self):
        """Return teacher and student, checked for what the student will learn."""
        teacher, student = self._members("classifier")
        _check_hints(self.hints)
        check_can_learn(student, self.loss, self.hints)
        for hint in self.hints:
            hint.check_teacher(teacher)
        return teacher, student

    def _needs_classes(self):
        """Return whether each parameter that may need observed classes does so."""
        return {
            f"alpha={self.alpha!r}": self.alpha in (0, "auto"),
            "temperature='auto'": self.temperature == "auto",
            "label_correction=True": self.label_correction is True,
            "recalibration=True": self.recalibration is True,
            "prior_correction": self.prior_correction is not None,
            "class_weight": self.class_weight is not None,
        }

    @available_if(student_has("partial_distill"))
    @verbose
    def partial_fit(self, X, y=None, classes=None, sample_weight=None):
        """Train the student further on fresh rows, labelled by the teacher; first call `fit`.

        This is for rows that came after fit, without classes (yet): the student learns the teacher
        where they are, at a fraction of the cost of another fit. Available if the student can be
        trained further, as the MLP can.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows that the teacher has not been fitted on.
        y : array-like of shape (n_samples,) or None, default=None
            Classes, -1 where none was observed; None if none was observed at all.
        classes : array-like of shape (n_classes,) or None, default=None
            All classes, those of a fitted teacher or of the first y; a teacher cannot learn more.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The distiller, with a changed ``student_``.

        Raises
        ------
        AttributeError
            If there is no teacher, because its margins came from `memory`.
        ValueError
            If X, y or the weights are not what is described here.

        Notes
        -----
        The rows are augmented as in `fit`. The student trains from its present weights, see
        `MLPStudentClassifier.partial_fit`; if the fresh rows are outside the range that it has
        seen, fit again with ``X_unlabeled``.
        """
        if not hasattr(self, "student_"):
            return self._fit_first_batch(X, y, classes, sample_weight)
        self._validate_params()
        self._check_hints_of_fit()
        check_classes(classes, self.classes_)
        fresh = self._label_fresh(X, y, sample_weight)
        if self.alpha_choice_ is not None:
            fresh = replace(fresh, row_alpha=self.alpha_choice_.of_rows(fresh))
        fresh = weigh_classes(fresh, self._class_factors)
        fresh = replace(fresh, loss=self.loss)
        if self.hints:
            targets, _ = compute_targets(self.hints, self._teacher, fresh, self._hint_states)
            fresh = replace(fresh, hints=tuple(map(HintTargets, self.hints, targets)))
        distill_classifier_further(self.student_, fresh, self.temperature_, self._alpha, Task(self))
        return self

    def _check_hints_of_fit(self):
        """Check hints before the student trains on: of the kinds that it followed in fit."""
        _check_hints(self.hints)
        added = [name for name in names_of_hints(self.hints) if name not in self._hint_states]
        if added:
            raise ValueError(
                f"hints holds {', '.join(added)}, which the student did not follow in fit; "
                "partial_fit takes the hints of fit, with any weights. Fit again to add others."
            )

    @property
    def _alpha(self):
        """The alpha of rows that have none of their own."""
        return 1.0 if self.alpha == "auto" else self.alpha

    def _choose_alpha(self, student, transfer_set, cv):
        """Give every row an alpha of its own if alpha is "auto"."""
        self.alpha_choice_ = None
        if self.alpha != "auto":
            return transfer_set
        note("teacher compared with students of the observed labels")
        row_alpha, self.alpha_choice_ = recalled(check_memory(self.memory), choose_row_alpha)(
            silenced(student), transfer_set, cv
        )
        note(self.alpha_choice_.in_words())
        if self.alpha_choice_.is_refused:
            warn_of_refusal()
        return replace(transfer_set, row_alpha=row_alpha)

    def _add_hints(self, lazy_teacher, transfer_set):
        """Compute the targets of hints, or take them from the cache."""
        transfer_set, self._hint_states = replace(transfer_set, loss=self.loss), {}
        if not self.hints:
            return transfer_set
        note(", ".join(type(hint).__name__ for hint in self.hints))
        hints, fingerprint = without_weights(self.hints), None
        if self.memory is not None:  # also the code of a user's own hints
            fingerprint = content_key([fingerprint_of(lazy_teacher), hints])
        targets, self._hint_states = recalled(
            check_memory(self.memory), compute_targets_in_fit, ignore=["lazy_teacher"]
        )(lazy_teacher, fingerprint, transfer_set, hints)
        return replace(transfer_set, hints=tuple(map(HintTargets, self.hints, targets)))

    def _recalibrate(self, student, transfer_set, cv):
        """Recalibrate the student if `recalibration` calls for it."""
        if not may_be_recalibrated(student, self.recalibration, self.temperature_, self.loss):
            return None
        note("measured on labelled rows held out from a clone of the student")
        found = honest_recalibration(
            silenced(student), transfer_set, self.temperature_, self._alpha, cv, self.generations
        )
        if found is None or (self.recalibration == "auto" and not found.is_called_for):
            note("no recalibration")
            return None
        return self._rescaled(found)

    def _rescaled(self, found):
        """Make a recalibration part of the student, and return it."""
        note(found.in_words())
        last_step(self.student_).rescale_margins(found.slope, found.intercept)
        return found

    @verbose
    def recalibrate(self, X, y, sample_weight=None):
        """Recalibrate the fitted student on rows that neither it nor the teacher was fitted on.

        This is for labelled rows that came after fit, such as the last weeks: the share of fraud
        may have changed, or the teacher may be overconfident. The map of the margins, see the
        parameter `recalibration`, becomes part of the student. Reports and bands on the same rows
        warn later; recalibrating on them once more changes nothing, and overlapping rows do no
        harm.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns. The rows, with their weights, represent the population.
        y : array-like of shape (n_samples,)
            Classes; rows with -1 are left out.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The distiller, with a changed ``student_`` and another ``recalibration_``.

        Raises
        ------
        AttributeError
            If there is no teacher, because its margins came from `memory`.
        TypeError
            If the student's margins cannot be rescaled.
        ValueError
            If X, y or the weights are not what is described here, or only one class is observed.
        """
        X = self._check_X(X)
        may_be_recalibrated(self.student_, True, self.temperature_)  # raises if it cannot be
        _ = self.teacher_  # raises if it is not there
        observed = self._observed(y, X)
        weight = check_weights(sample_weight, X)
        rows = not_observed(X, self._teacher.margins(X), weight, "unlabelled", self.classes_)
        rows = weigh_classes(replace(rows, y=observed), self._class_factors)
        rows = replace(rows, class_weight=self._class_weights)  # these rows are not sampled
        found = recalibration_on(self.student_, rows.take(observed >= 0))
        if found is None:
            raise ValueError(
                "y holds one class only; rows of two or more are needed to recalibrate."
            )
        warn_of_seen_rows(
            self._seen_rows,
            X,
            "The student is more confident on them than on others, and the map is right for them "
            "only. Pass rows that came after fit.",
        )
        self.recalibration_ = self._rescaled(found)
        before, seen = self._recalibrated_on, rows.take(observed >= 0).X
        self._recalibrated_on = SeenRows.of(seen) if before is None else before.including(seen)
        return self

    def teacher_proba(self, X):
        """Predict probabilities with the teacher, corrected by `margin_shift_`.

        Compare a deployed student with these, on rows that came after fit.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Raw columns.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            One column per class, in the order of ``classes_``.

        Raises
        ------
        AttributeError
            If there is no teacher, because its margins came from `memory`.
        """
        X = self._check_X(X)
        _ = self.teacher_  # raises if it is not there
        return student_and_teacher(self)[1].answers(X, self.classes_)


def _check_hints(hints):
    """Raise if these are no hints, or two of one family."""
    if not isinstance(hints, list | tuple):
        instead = [hints] if isinstance(hints, Hint) else "[LeafHint()]"
        raise TypeError(f"hints is {shown(hints)}; a list was expected, such as hints={instead}.")
    for hint in hints:
        refuse_class(hint, "An entry of hints")
        if not isinstance(hint, Hint):
            raise TypeError(
                f"hints holds {shown(hint)}; hints were expected, such as hints=[LeafHint()]."
            )
        hint._validate_params()
    families = names_of_hints(hints)
    twice = next((family for family in families if families.count(family) > 1), None)
    if twice is not None:
        raise ValueError(f"hints holds {twice} twice; pass it once, with the weight you want.")
