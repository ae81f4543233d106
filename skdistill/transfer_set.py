"""The rows a student learns from: labelled, unlabelled and synthetic."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skdistill.columns import (
    column_values,
    is_missing,
    is_nominal,
    replace_cells,
    replace_levels,
    stack_rows,
    table_like,
    take_rows,
)
from skdistill.soft_labels import SoftTargets

#: Where a row of a transfer set comes from.
ORIGINS = ("labelled", "unlabelled", "synthetic")

#: What a transfer set always has one of per row, besides the row.
_PER_ROW = ("margins", "y", "sample_weight", "origin")


@dataclass(frozen=True)
class TransferSet:
    """Rows with the teacher's margins and, for some of them, observed classes or values.

    Attributes
    ----------
    X : ndarray, sparse matrix or data frame of shape (n_samples, n_features)
        The rows, in the user's container.
    margins : ndarray of shape (n_samples, n_classes)
        The teacher's margins; predictions of shape (n_samples, 1) in regression.
    y : ndarray of shape (n_samples,)
        Index of the observed class, -1 where none was observed; in regression the observed
        value, NaN where none was.
    sample_weight : ndarray of shape (n_samples,)
        Non-negative weights.
    origin : ndarray of shape (n_samples,)
        0 for labelled, 1 for unlabelled, 2 for synthetic rows, see `ORIGINS`.
    classes : ndarray of shape (n_classes,) or None
        Class labels, in the order of the columns of `margins`; None in regression.
    class_weight : ndarray of shape (n_classes,) or None
        What the weights of rows are multiplied by in the hard term, by observed class; None for 1.
        The margins already include these weights.
    row_alpha : ndarray of shape (n_samples,) or None
        Weight of every row's soft term, in place of one for all; None for that.
    loss : {"kl", "logit_mse", "brier", "js"}
        What the soft term is, see `skdistill.soft_labels.distillation_loss`.
    hints : tuple of HintTargets
        What the student follows besides the margins.
    labelling : {"oob", "cross_fit", "direct"}
        Where the margins of the labelled rows come from. Those of unlabelled rows are "direct".
    synthetic_labelling : {"half_oob", "direct"}
        Where those of the synthetic rows come from, see `DistilledClassifier`.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531.
    """

    X: Any
    margins: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray
    origin: np.ndarray
    classes: np.ndarray | None = None
    class_weight: np.ndarray | None = None
    row_alpha: np.ndarray | None = None
    loss: str = "kl"
    hints: tuple = ()
    labelling: str = "direct"
    synthetic_labelling: str = "direct"

    @property
    def is_real(self):
        """Which rows are not synthetic, of shape (n_samples,)."""
        return self.origin != ORIGINS.index("synthetic")

    def with_X(self, X):
        """Return the same transfer set with transformed rows."""
        return replace(self, X=X)

    def take(self, rows):
        """Return some of the rows, given by a mask or by indices."""
        return replace(
            self,
            X=take_rows(self.X, rows),
            row_alpha=None if self.row_alpha is None else self.row_alpha[rows],
            hints=tuple(hint.take(rows) for hint in self.hints),
            **{name: getattr(self, name)[rows] for name in _PER_ROW},
        )

    def without(self, rows):
        """Hold real rows out: return the other real rows.

        Synthetic rows are left out, too: some were made from rows that are held out, and the
        teacher's predictions for them depend on the classes of those.

        Parameters
        ----------
        rows : ndarray of shape (n_held_out,)
            Positions.
        """
        left = self.is_real
        left[rows] = False
        return self.take(left)

    def soft_targets(self, temperature, alpha):
        """Return the targets of a classifier student."""
        return SoftTargets(
            self.margins,
            self.y,
            self.sample_weight,
            temperature,
            alpha if self.row_alpha is None else self.row_alpha,
            self.class_weight,
            self.loss,
            self.hints,
        )

    def blended_values(self, alpha):
        """Return the targets of a regressor student.

        Parameters
        ----------
        alpha : float
            Weight of the teacher's prediction, in [0, 1].

        Returns
        -------
        values : ndarray of shape (n_samples,)
            ``alpha * teacher + (1 - alpha) * y``, and the teacher's prediction where nothing was
            observed. Squared error to it is, up to a constant, the mix of the squared errors.
        weight : ndarray of shape (n_samples,)
            The row's weight; times `alpha` where nothing was observed.
        """
        teacher, observed = self.margins[:, 0], ~np.isnan(self.y)
        values = np.where(observed, alpha * teacher + (1 - alpha) * self.y, teacher)
        return values, np.where(observed, 1.0, alpha) * self.sample_weight

    def summary(self):
        """Count the rows, add up their weights and say how they were labelled, by origin."""
        labellings = (self.labelling, "direct", self.synthetic_labelling)
        counts = {}
        for code, (name, labelling) in enumerate(zip(ORIGINS, labellings, strict=True)):
            weights = self.sample_weight[self.origin == code]
            counts[name] = {
                "rows": len(weights),
                "weight": float(weights.sum()),
                "labelling": labelling,
            }
        return counts


def not_observed(X, margins, sample_weight, origin, classes, synthetic_labelling="direct"):
    """Make the part of a transfer set of rows with margins, and without observed classes or values.

    `classes` are None in regression; `synthetic_labelling` says how synthetic rows were labelled.
    """
    n_samples = X.shape[0]
    return TransferSet(
        X=X,
        margins=margins,
        y=np.full(n_samples, np.nan if classes is None else -1),
        sample_weight=sample_weight,
        origin=np.full(n_samples, ORIGINS.index(origin)),
        classes=classes,
        synthetic_labelling=synthetic_labelling,
    )


def join(parts):
    """Join transfer sets of one task, as the teacher labelled them: first labelled, last synthetic.

    `row_alpha` and `hints` must not be set yet: they are decided for all rows together.
    """
    return replace(
        parts[0],
        synthetic_labelling=parts[-1].synthetic_labelling,
        X=stack_rows([part.X for part in parts]),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _PER_ROW},
    )


def kinds_of_unknown_cells(X, ask):
    """Find the unknown cells in nominal columns with which a teacher predicts without an error.

    `ask` predicts a table. Returns pairs of a column and its cells: levels that no row has, or None
    for missing.
    """
    known = {j: _levels(column_values(X, j)) for j in range(X.shape[1])}
    nominal = {j: levels for j, levels in known.items() if levels}
    unseen = [(j, _unseen_levels(levels)) for j, levels in nominal.items()]
    missing = [(j, [None]) for j in nominal]

    def takes(kinds):
        rows = np.arange(len(kinds))
        some = take_rows(X, rows % X.shape[0])
        try:
            ask(with_unknown_cells(some, rows, kinds))
        except Exception:  # teachers may raise any error
            return False
        return True

    return _taken(unseen, takes) + _taken(missing, takes)


def with_unknown_cells(X, rows, kinds):
    """Put an unknown cell into each of some rows, every one of the `kinds` equally often."""
    all_rows, none = np.arange(X.shape[0]), np.arange(0)
    changed = {}
    for k, (j, values) in enumerate(kinds):
        at, cells = changed.setdefault(j, ([], []))
        mine = rows[k :: len(kinds)].tolist()
        at += mine
        cells += [values[i % len(values)] for i in range(len(mine))]
    return table_like(
        X,
        [
            replace_levels(X, j, all_rows, np.array(changed[j][0], dtype=int), changed[j][1])
            if j in changed
            else replace_cells(X, j, all_rows, none, none)
            for j in range(X.shape[1])
        ],
    )


def _taken(kinds, takes):
    """Return the kinds that are taken: all of them, or those of either half."""
    if not kinds or takes(kinds):
        return kinds
    middle = len(kinds) // 2
    return _taken(kinds[:middle], takes) + _taken(kinds[middle:], takes) if middle else []


def _levels(values):
    """Return the levels of a column in order; none of a numeric one."""
    known = set(values[~is_missing(values)]) if is_nominal(values) else set()
    return sorted(known, key=lambda level: (str(type(level)), level))


def _unseen_levels(known):
    """Make unknown levels, one after each of the known ones in sorted order.

    XGBoost treats an unseen category as the next one in order, and refuses one that is the last.
    """
    if not isinstance(known[-1], str):
        return [known[-1] + 1]
    names = [f"{level}?" for level in known[:-1] if isinstance(level, str)]
    return sorted(set(names) - set(known)) or [f"{known[-1]}??"]
