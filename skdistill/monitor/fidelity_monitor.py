"""A monitor of a deployed student: counts live rows, and reports when to distil again."""

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from skdistill.messages import shown, warn_caller
from skdistill.monitor.batch_summary import BatchSummary
from skdistill.monitor.database import create_database, is_database, open_database, read_state
from skdistill.monitor.days import days_of_rows
from skdistill.monitor.layout import (
    align,
    choose_layout,
    count,
    kind_of,
    label_faults,
    read_batch,
)
from skdistill.monitor.ledger import Entry, Ledger, checked_ids
from skdistill.monitor.monitor_report import make_report
from skdistill.monitor.sampling import chosen_rows
from skdistill.monitor.settings import LIMITS, check_setting, check_settings
from skdistill.monitor.state_file import (
    MonitorState,
    state_from_text,
    state_to_text,
    write_state_file,
)
from skdistill.monitor.weekdays import counts_by_weekday
from skdistill.scorer.tables import read_table


class FidelityMonitor:
    """Monitors a deployed student: drift of its rows and scores, and its gap to the teacher.

    It is updated with live rows, the student's scores and, for a sampled share of the rows, the
    teacher's scores, and stores counts of bounded size. `report` compares recent rows with the
    reference rows that the monitor was fitted on, raises alerts, and recommends whether to distil
    again.

    Parameters
    ----------
    task : {"classification", "regression"}, default="classification"
        Whether scores are probabilities or predicted values.
    n_bins : int, default=10
        Bins of a column of numbers, with about equal numbers of reference rows; missing values
        have a bin of their own.
    max_levels : int, default=20
        Categories of a column that are counted separately, the most frequent ones. All others,
        including unknown ones, are counted together.
    threshold : float, default=0.5
        With two classes, the probability from which a row is flagged: `report` gives the share of
        flagged rows, and the share of rows on which teacher and student agree.
    window : int, default=7
        Number of newest buckets in a report. A window of a week has every weekday once.
    max_buckets : int, default=60
        Number of buckets that are kept. Older ones are added up, so lifetime counts are complete.
    bucket_rows : int, default=10000
        For rows without a day: a new bucket starts when the newest has this many rows.
    psi_warn : float, default=0.1
        Population stability index of a column or score that is a warning.
    psi_alert : float, default=0.2
        Index that is an alert.
    gap_tolerance : float, default=0.2
        Share by which the gap to the teacher may exceed that of the reference.
    confidence : float, default=0.95
        Confidence level of all intervals, strictly between 0 and 1.
    teacher_share : float, default=0.05
        Share of rows that `sample` chooses.

    Attributes
    ----------
    kind_ : {"binary", "multiclass", "regression"}
        The task, by the shape of the reference's scores.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if the reference had some.

    See Also
    --------
    MonitorReport : What `report` returns.
    MonitorDisplay : Plots drift and gap over time.

    Notes
    -----
    **Drift.** The population stability index over the bins that hold a row is
    ``PSI = sum_b (p_b - q_b) log(p_b / q_b)``, for live shares p and reference shares q, with half
    a row added to every bin. Without drift its mean is about ``(B - 1)(1/n + 1/m)`` for n live and
    m reference rows in B bins. A column is in state "alert" if its index is at least `psi_alert`,
    "warn" if at least `psi_warn`, but only if the index exceeds the 99.9 % quantile of the index
    without drift; "too few rows" if it does not, and that quantile exceeds `psi_warn`.

    **Weekdays.** Rows of fewer than seven days differ from the reference without any drift: on a
    Monday no row is from a weekend. If `fit` was passed the days of the reference, and it has at
    least 300 rows of each weekday, live rows are compared with reference rows of the same weekdays
    in the same proportions. Days that are numbers repeat after seven. Flagged rows and the gap are
    compared with the whole reference.

    **Gap.** With classes it is the Kullback-Leibler divergence of the student from the teacher, in
    regression the absolute difference; others are reported beside it. It has grown if the interval
    of live mean minus ``1 + gap_tolerance`` times the reference's mean is above 0, and has held if
    it is below 0. Pass reference rows that neither model was fitted on: on others the gap is too
    small. Teacher scores of selected rows, such as suspicious ones, are not comparable: select rows
    by `sample`.

    **Distil again** if the gap has grown; or if a score is in state "alert" or a column is absent
    from all rows, and the teacher's scores do not show that the gap has held. Drift of columns
    without drift of the score raises alerts only.

    The attributes `window`, `bucket_rows`, `psi_warn`, `psi_alert`, `gap_tolerance`, `confidence`
    and `teacher_share` may be changed at any time; all others stay as they were in `fit`.

    Rows are treated as independent. If they are not, as several rows of one customer, intervals are
    too narrow.

    The state holds `max_buckets` histograms per column, about 150 kB for 30 columns. Threads may
    share a monitor, and processes the file of `autosave`. `merge` adds up the monitors of machines
    that share no disk.

    References
    ----------
    Yurdakul, "Statistical Properties of Population Stability Index", Western Michigan University,
    Dissertations 3208 (2018). Siddiqi, "Credit Risk Scorecards" (2006), for the thresholds.

    Examples
    --------
    A week of live rows like those of the reference:

    >>> import numpy as np
    >>> from skdistill import FidelityMonitor
    >>> rng = np.random.default_rng(0)
    >>> def rows(n):
    ...     amount = rng.gamma(2, 50, n)
    ...     return {"amount": amount, "hour": rng.integers(0, 24, n)}, amount / (amount + 200)
    >>> monitor = FidelityMonitor().fit(*rows(20_000))
    >>> for day in range(7):
    ...     summary = monitor.update(*rows(1000), at=day)
    >>> print(monitor.report())
    0 to 6: 7,000 rows (7,000 since the start, 20,000 in the reference), the teacher scored 0
    Distil again: no
    - Neither score nor columns have drifted to the alert threshold.
    - The gap to the teacher has no reference: fit got fewer than 30 of its scores.
    <BLANKLINE>
              PSI  chance  status   rows  largest shift
    score  0.0020  0.0057  stable  7,000  0.2566 to 0.2968: 10.0% -> 10.8%
    2 columns are stable
    <BLANKLINE>
             live                        reference
    flagged  0.09243 [0.08587, 0.09944]  0.0922 [0.08827, 0.09629]
    """

    def __init__(
        self,
        *,
        task="classification",
        n_bins=10,
        max_levels=20,
        threshold=0.5,
        window=7,
        max_buckets=60,
        bucket_rows=10_000,
        psi_warn=0.1,
        psi_alert=0.2,
        gap_tolerance=0.2,
        confidence=0.95,
        teacher_share=0.05,
    ):
        self.task = task
        self.n_bins = n_bins
        self.max_levels = max_levels
        self.threshold = threshold
        self.window = window
        self.max_buckets = max_buckets
        self.bucket_rows = bucket_rows
        self.psi_warn = psi_warn
        self.psi_alert = psi_alert
        self.gap_tolerance = gap_tolerance
        self.confidence = confidence
        self.teacher_share = teacher_share
        self._lock = threading.RLock()
        self._state = self._database = None

    @classmethod
    def from_estimator(cls, model, X, *, teacher=None, at=None, **settings):
        """Make a monitor from a fitted model, which predicts the scores of the reference rows.

        Parameters
        ----------
        model : estimator
            A fitted distiller, a Pipeline that ends in one, a search over either, or any fitted
            classifier or regressor, which then is the student.
        X : array-like, sparse matrix or data frame of shape (n_rows, n_features)
            Raw rows like those it will score, that neither student nor teacher was fitted on, such
            as the first weeks after deployment.
        teacher : estimator or None, default=None
            A fitted teacher; None for the one of the distiller.
        at : int, str, date, datetime, array-like of shape (n_rows,) or None, default=None
            The days of the reference rows, as in `fit`.
        **settings : dict
            Parameters of `FidelityMonitor`.

        Returns
        -------
        monitor : FidelityMonitor
            Fitted. It does not store the models.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        ValueError, TypeError
            See `fit`.

        Warns
        -----
        UserWarning
            If models were fitted on rows of X: the student is closer to its teacher on these than
            it will be on live rows.
        """
        from skdistill.models import (
            find_seen_rows,
            student_and_teacher,  # the rest needs no scikit-learn
        )

        student, teacher = student_and_teacher(model, teacher)
        find_seen_rows(model, teacher, X, "the gap of live rows will seem to have grown")
        labels = student.labels
        task = "regression" if labels is None else "classification"
        answers = [None if each is None else each.answers(X, labels) for each in (student, teacher)]
        labels = None if labels is None else labels.tolist()
        return cls(**{"task": task} | settings)._fit(X, *answers, at, labels)

    def fit(self, X, student_scores, teacher_scores=None, *, at=None):
        """Choose the bins and count the reference rows.

        Parameters
        ----------
        X : ndarray, sparse matrix, data frame, dict of columns or list of rows
            The reference: raw rows like those that will be scored, some thousand at least.
        student_scores : array-like of shape (n_rows,) or (n_rows, n_classes)
            Probabilities (with two classes those of the second are enough) or predictions.
        teacher_scores : array-like of the same shape, default=None
            The teacher's scores, NaN where there is none. Without them the gap of live rows cannot
            be compared with the reference.
        at : int, str, date, datetime, array-like of shape (n_rows,) or None, default=None
            The days of the reference rows, in the form that will be passed to `update`: with them
            live rows are compared with reference rows of the same weekdays. None compares with all
            rows; leave it out if `at` will not be days but, for instance, hours.

        Returns
        -------
        self : FidelityMonitor
            The fitted monitor, with nothing counted yet.

        Raises
        ------
        ValueError
            If a parameter is out of range, numbers of rows differ, `at` has another length, or no
            score can be counted.
        TypeError
            If a column holds dates or objects, or scores are not numbers.
        RuntimeError
            If the monitor is kept on disk: fitting would discard its counts.

        Warns
        -----
        UserWarning
            If cells or scores cannot be counted, or scores look like labels: 0 or 1, all of them.
        """
        return self._fit(X, student_scores, teacher_scores, at)

    def update(self, X, student_scores, teacher_scores=None, *, at=None, batch_id=None):
        """Count a batch of live rows, skipping what cannot be counted.

        Parameters
        ----------
        X : ndarray, sparse matrix, data frame, dict of columns, list of rows, or a single row
            Raw rows. Columns are found by name, whatever their order; without names, by position.
        student_scores : array-like of shape (n_rows,) or (n_rows, n_classes), or float
            As in `fit`. The cells of a row without a score, or with one out of range, are counted.
        teacher_scores : array-like of the same shape, float or None, default=None
            NaN or None where there is no score of the teacher.
        at : int, str, date, datetime, array-like of shape (n_rows,) or None, default=None
            When they were scored: a date, with or without time, or the number of a day; one for
            all rows or one per row. Days may come in any order. None counts on the newest day, or
            without days by `bucket_rows`.
        batch_id : str or None, default=None
            Identifies the batch, so that it is not counted twice if it is passed again, for
            instance after a crash. The last 1000 are stored.

        Returns
        -------
        summary : BatchSummary
            What was counted, and what was not and why.

        Raises
        ------
        ValueError
            If nothing can be counted: the length of scores or `at` is not that of X, the number of
            columns without names is wrong, no column is known, or dates and numbers of days are
            mixed. The monitor is unchanged.
        TypeError
            If X is not a table or row, or scores are not numbers. The monitor is unchanged.
        OSError
            If the monitor is kept on disk and cannot be written. The monitor is unchanged.

        Warns
        -----
        UserWarning
            If all scores are 0 or 1, as labels are, while those of the reference were not. They are
            counted.

        Notes
        -----
        Absent columns, and cells that cannot be read, are skipped; the other columns are counted.
        An infinite number counts in the outermost bin.
        """
        layout = self._fitted().layout
        batch_ids = checked_ids(batch_id)
        table = read_table(X)
        if table.n_rows == 0:
            return BatchSummary(0)
        size = layout.kind, len(layout.scores)
        batch = read_batch(table, student_scores, teacher_scores, *size, layout)
        days = days_of_rows(at, batch.n_rows)
        for fault in label_faults(layout, batch, self._state.reference):
            warn_caller(fault)
        counted = {
            day: count(layout, batch if rows.all() else batch.of_rows(rows))
            for day, rows in days.items()
        }
        reasons = batch.skipped, *(unreadable for _, unreadable in counted.values())
        skipped = dict(sum(map(Counter, reasons), Counter()))
        with self._changing():
            ledger = self._state.ledger
            if set(batch_ids) & set(ledger.batch_ids):
                return BatchSummary(0, replayed=True)
            if None in days and self._state.weekdays and not ledger.buckets:
                raise ValueError(
                    "at is None, or missing for some rows, but the reference has days, whose "
                    "weekdays live rows are compared with. Pass at=, the day of the rows. Nothing "
                    "was counted."
                )
            bucket_rows = np.inf if self._state.weekdays else self.bucket_rows
            undated = ledger.undated_day(bucket_rows)
            parts = tuple(
                (undated if day is None else day, counts) for day, (counts, _) in counted.items()
            )
            late = [counts.n_rows for day, counts in parts if ledger.is_late(day)]
            self._add(Entry(parts, skipped, batch.unknown_columns, batch_ids))
        return BatchSummary(
            batch.n_rows,
            int(batch.has_student.sum()),
            int(batch.has_both.sum()),
            tuple(dict.fromkeys(day for day, _ in parts)),
            sum(late),
            skipped=skipped,
            unknown_columns=batch.unknown_columns,
        )

    def sample(self, X, *, keys=None):
        """Choose the rows that the teacher should score: a share of about `teacher_share`.

        Parameters
        ----------
        X : ndarray, sparse matrix, data frame, dict of columns, list of rows, or a single row
            Raw rows, as for `update`.
        keys : array-like of shape (n_rows,) or None, default=None
            What rows are chosen by instead of their cells, such as numbers of transactions. Without
            keys, equal rows are either all chosen or none of them.

        Returns
        -------
        chosen : ndarray of shape (n_rows,) and dtype bool
            The same for the same rows or keys, in any process and after any restart.

        Raises
        ------
        ValueError, TypeError
            If X or `keys` cannot be read, as in `update`.
        """
        layout = self._fitted().layout
        table = read_table(X)
        if table.n_rows == 0:
            return np.zeros(0, dtype=bool)
        if keys is None:
            columns, _ = align(table, layout)
            kinds = [bins.levels is None for bins in layout.columns]
            return chosen_rows(columns, kinds, self.teacher_share)
        keys = np.atleast_1d(np.asarray(keys))
        if keys.shape != (table.n_rows,):
            raise ValueError(
                f"keys have shape {keys.shape}; one for each of {table.n_rows} rows was expected."
            )
        return chosen_rows([keys], [False], self.teacher_share)

    def report(self, window=None):
        """Report on the newest rows.

        Parameters
        ----------
        window : int or None, default=None
            Number of newest buckets; None for the monitor's `window`.

        Returns
        -------
        report : MonitorReport
            Drift, gap, alerts, and whether to distil again.
        """
        state = self._current()
        return make_report(state, state.ledger.newest(self._checked_window(window)))

    def history(self, window=1):
        """Report on every bucket, alone or with those before it.

        Parameters
        ----------
        window : int or None, default=1
            Number of buckets in each report, which end with its own. None for the monitor's
            `window`: the report of that time.

        Returns
        -------
        reports : list of MonitorReport
            One per bucket, in chronological order; the last one is ``report(window)``. The first
            ones are left out if their windows would include buckets that were added up.

        Raises
        ------
        ValueError
            If `window` is out of range.
        """
        state = self._current()
        window = self._checked_window(window)
        days = list(state.ledger.buckets)
        n_cut = min(window, len(days)) - 1 if state.ledger.older.n_rows else 0
        ends = range(n_cut + 1, len(days) + 1)
        return [make_report(state, days[max(0, end - window) : end]) for end in ends]

    def merge(self, other):
        """Add the counts of another monitor with the same reference, such as another machine's.

        Parameters
        ----------
        other : FidelityMonitor
            It is not changed. Days are matched by date or number.

        Returns
        -------
        self : FidelityMonitor
            With the counts of both.

        Raises
        ------
        TypeError
            If it is not a monitor.
        ValueError
            If it is this monitor, has other bins or another reference, or both have counted the
            same `batch_id`.
        """
        if not isinstance(other, FidelityMonitor):
            raise TypeError(
                f"other is {shown(other)}; another FidelityMonitor was expected. One that was "
                "saved is read by FidelityMonitor.load(path)."
            )
        if other is self:
            raise ValueError(
                "other is this monitor itself; merged, all its rows would count twice. Pass the "
                "monitor of another process."
            )
        theirs = other._current()
        self._fitted()
        with self._changing():
            mine = self._state
            if not mine.has_reference_of(theirs):
                raise ValueError(
                    "The monitors have different references, so their bins differ. Fit one, and "
                    "give every process a copy: FidelityMonitor.from_json(monitor.to_json())."
                )
            ledger = theirs.ledger
            twice = sorted(set(mine.ledger.batch_ids) & set(ledger.batch_ids))
            if twice:
                raise ValueError(
                    f"Both monitors have counted batch_id {twice[0]!r} and {len(twice) - 1} others "
                    "too; merged, they would count twice."
                )
            parts = ((None, ledger.older), *ledger.buckets.items())
            self._add(Entry(parts, ledger.skipped, ledger.unknown_columns, ledger.batch_ids))
        return self

    def to_json(self):
        """Return the state as JSON, for `from_json`."""
        return state_to_text(self._current())

    @classmethod
    def from_json(cls, text):
        """Make a monitor of what `to_json` returned.

        Parameters
        ----------
        text : str or bytes
            The JSON.

        Returns
        -------
        monitor : FidelityMonitor
            In the state it was in.

        Raises
        ------
        MonitorFileError
            If it is cut off, changed, something else, or from a newer skdistill.
        """
        return cls._of(state_from_text(text, "The text"))

    def save(self, path):
        """Write the state to a file, for `load`. An existing file is replaced atomically.

        Parameters
        ----------
        path : str or path-like
            The file, in JSON.

        Raises
        ------
        FileExistsError
            If the file is a database of `autosave`, of another monitor.
        OSError
            If it cannot be written. An existing file is unchanged.
        """
        if self._database is not None and self._database.path == Path(path).absolute():
            with self._changing():  # writes the parameters
                return
        if is_database(path):
            raise FileExistsError(
                f"{str(path)!r} is a database that another monitor may be kept in, and its counts "
                "would be lost. Choose another path, or remove the file first."
            )
        write_state_file(path, self.to_json())

    def autosave(self, path):
        """Keep the monitor on disk from now on: `update` returns when the counts are written.

        Parameters
        ----------
        path : str or path-like
            An SQLite database, which must not exist yet; on a local disk, since SQLite's locks do
            not work on network file systems. The process may be killed at any time: no update that
            returned is lost, and none is counted twice.

        Returns
        -------
        self : FidelityMonitor
            The monitor.

        Raises
        ------
        FileExistsError
            If the file exists.
        RuntimeError
            If the monitor is kept in another file.

        Notes
        -----
        An update that returned survives a crash of the process. It survives a crash of the machine
        once the operating system has written it to the disk; the file is consistent in any case.

        Several processes, such as the workers of a server, may keep the same file by
        ``load(path, autosave=True)``, also by forking: their counts add up, and each reports those
        of all.

        While the file is open, updates are in ``PATH-wal`` beside it, with ``PATH-shm``. `close`
        puts them into the file. To copy it before that, `load` and `save` it; a plain copy lacks
        the newest updates. Its one table, ``parts``, has what `to_json` returns and can be read by
        any SQLite shell.

        Examples
        --------
        The start of a service:

        >>> import tempfile
        >>> from pathlib import Path
        >>> from skdistill import FidelityMonitor
        >>> def start(path):
        ...     if path.exists():
        ...         return FidelityMonitor.load(path, autosave=True)
        ...     return FidelityMonitor().fit({"age": [20, 30, 40]}, [0.1, 0.2, 0.3]).autosave(path)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for start_number in range(3):
        ...         monitor = start(Path(folder, "monitor.db"))
        ...         summary = monitor.update({"age": 35}, 0.25)
        ...         monitor.close()
        >>> monitor.report().n_rows
        3
        """
        with self._lock:
            state = self._current()
            if self._database is not None:
                raise RuntimeError(
                    f"This monitor is kept in {str(self._database.path)!r} already. Close it first."
                )
            create_database(path, state)
            self._database, self._state = open_database(path, self._lock)
        return self

    @classmethod
    def load(cls, path, *, autosave=False):
        """Load a monitor that `save` or `autosave` wrote.

        Parameters
        ----------
        path : str or path-like
            The file. Processes may be writing to it: this reads the last update.
        autosave : bool, default=False
            Whether to keep the monitor in this file from now on, see `autosave`. If it is JSON, it
            is turned into a database, and stays as ``PATH.before-sqlite``.

        Returns
        -------
        monitor : FidelityMonitor
            With every update that was written.

        Raises
        ------
        MonitorFileError
            If it is incomplete, changed, of something else, or from a newer skdistill.
        OSError
            If it cannot be read.
        RuntimeError
            If `autosave` and a process with an older skdistill keeps the file.
        """
        if not autosave:
            return cls._of(read_state(path))
        lock = threading.RLock()
        database, state = open_database(path, lock)
        monitor = cls._of(state)
        monitor._database, monitor._lock = database, lock
        return monitor

    def close(self):
        """Stop keeping the monitor on disk; its counts stay in memory."""
        with self._lock:
            if self._database is None:
                return
            try:
                self._state = self._current()
            finally:
                self._database.close()
                self._database = None

    def _fit(self, X, student_scores, teacher_scores, at, labels=None):
        check_settings(self._settings())
        if self._database is not None:
            raise RuntimeError(
                f"This monitor is kept in {str(self._database.path)!r}, and fitting would discard "
                "its counts. Close it first, or make a new one."
            )
        table = read_table(X)
        kind, n_scores = kind_of(self.task, student_scores)
        batch = read_batch(table, student_scores, teacher_scores, kind, n_scores)
        if not batch.has_student.any():
            why = batch.skipped or "none was passed"
            raise ValueError(
                f"The reference has {table.n_rows} rows and no student score that can be counted: "
                f"{why}. Probabilities or finite predictions are needed."
            )
        days = days_of_rows(at, table.n_rows)
        choices = {name: getattr(self, name) for name in ("n_bins", "max_levels", "threshold")}
        layout = choose_layout(table, batch.student, kind, labels=labels, **choices)
        reference, unreadable = count(layout, batch)
        for why, n in (batch.skipped | unreadable).items():
            warn_caller(f"Not counted in the reference: {why}: {n} rows.")
        for fault in label_faults(layout, batch):
            warn_caller(fault)
        ledger = Ledger({}, reference.zero(), self.max_buckets)
        weekdays = counts_by_weekday(layout, batch, days)
        self._set_state(MonitorState(self._settings(), layout, reference, ledger, weekdays))
        return self

    @classmethod
    def _of(cls, state):
        monitor = cls(**state.settings)
        monitor._set_state(state)
        return monitor

    def _set_state(self, state):
        layout = state.layout
        self._state = state
        self.kind_ = layout.kind
        self.n_features_in_ = len(layout.columns)
        vars(self).pop("feature_names_in_", None)
        if layout.has_names:
            self.feature_names_in_ = np.array(layout.names, dtype=object)

    @contextmanager
    def _changing(self):
        """Make a change atomic: in memory and in the file, all of it or nothing."""
        with self._lock:
            before = self._state
            try:
                if self._database is None:
                    yield
                    return
                with self._database.transaction() as write:
                    stored = self._database.read(self._state)
                    self._state = replace(stored, settings=self._settings())
                    yield
                    write(stored, self._state)
            except BaseException:
                self._state = before
                raise

    def _add(self, entry):
        """Add an entry to the ledger, in `_changing`."""
        self._state = replace(self._state, ledger=self._state.ledger.add(entry))

    def _checked_window(self, window):
        window = self.window if window is None else window
        check_setting("window", window)
        return window

    def _fitted(self):
        if self._state is None:
            raise ValueError(
                "This FidelityMonitor has no reference yet. Call fit(X, student_scores) or make "
                "one by FidelityMonitor.from_estimator(model, X)."
            )
        return self._state

    def _current(self):
        """Return the state with the counts of other processes and the current parameters."""
        with self._lock:
            if self._database is not None:
                self._state = self._database.read(self._state)
            return replace(self._fitted(), settings=self._settings())

    def _settings(self):
        values = {name: getattr(self, name) for name in LIMITS}
        return {
            name: getattr(each, "item", lambda each=each: each)() for name, each in values.items()
        }

    def __getstate__(self):
        return vars(self) | {"_lock": None, "_database": None}

    def __setstate__(self, attributes):
        vars(self).update(attributes)
        self._lock = threading.RLock()

    def __repr__(self):
        if self._state is None:
            return "FidelityMonitor(no reference yet)"
        ledger = self._state.ledger
        return (
            f"FidelityMonitor({self.n_features_in_} columns, {self.kind_}, "
            f"{ledger.lifetime.n_rows:,} rows in {len(ledger.buckets)} buckets and before)"
        )
