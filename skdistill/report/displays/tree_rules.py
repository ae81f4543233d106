"""A tree student, or a sum of trees, in; one rule per leaf out."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from skdistill.estimators import last_step
from skdistill.report.displays.conditions import LevelCondition, NumberCondition, float32_threshold
from skdistill.report.displays.curves import contrast_of
from skdistill.report.plotting import rows_for
from skdistill.rows import encode_observed, finite_values


@dataclass(frozen=True)
class Rule:
    """One leaf of a tree: which rows fall in it, and what is known of them.

    Every row fulfils the rule of exactly one leaf of each tree.

    Attributes
    ----------
    leaf : int
        Node number in the tree, as ``tree_.apply`` returns it.
    conditions : tuple of NumberCondition or LevelCondition
        At most one per column, all of which must hold.
    label : object
        The class that `score` is about; None in regression.
    score : float
        The student's probability of the class, or its prediction in regression. In a sum of trees,
        what the leaf adds to the log-odds of the class, or to the prediction.
    share : float
        Share of the rows of X, or without X of the weight of the transfer set, in the leaf.
    purity : float or None
        Share of the most frequent class in the leaf; None in regression.
    n_rows : int or None
        Number of rows of X in the leaf; None without X.
    teacher_score : float or None
        Mean of the teacher's predictions on those rows, NaN where there are none; None without
        X or teacher.
    observed : float or None
        Observed share of the class, or mean value, among those rows, NaN where there are none;
        None without y.
    tree : int or None
        Number of the tree in a sum, from 1; None for a single tree.
    student_score : float or None
        Mean of the predictions of a sum of trees on those rows, NaN where there are none; None
        without X, and of a single tree.
    """

    leaf: int
    conditions: tuple
    label: Any
    score: float
    share: float
    purity: float | None = None
    n_rows: int | None = None
    teacher_score: float | None = None
    observed: float | None = None
    tree: int | None = None
    student_score: float | None = None

    def holds(self, X):
        """Tell which rows fulfil the rule.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows as the tree takes them: behind the transformers, if a pipeline has any.

        Returns
        -------
        holds : ndarray of shape (n_samples,), bool
            Whether each row falls in the leaf.
        """
        holds = np.ones(len(X), dtype=bool)
        for condition in self.conditions:
            holds &= condition.holds(X)
        return holds

    def text(self, max_levels=None):
        """Put the rule into words.

        Parameters
        ----------
        max_levels : int or None, default=None
            Largest number of levels to name before the rest is counted; None for no limit.

        Returns
        -------
        text : str
            The conditions, joined by "and"; those with an "or" stand in brackets.
        """
        texts = [condition.text(max_levels=max_levels) for condition in self.conditions]
        if len(texts) > 1:
            texts = [f"({text})" if text.endswith(" or missing") else text for text in texts]
        return " and ".join(texts) or "every row"


@dataclass(frozen=True)
class LeafFacts:
    """What rows say about the leaves that they fall in.

    Attributes
    ----------
    n_rows : ndarray of shape (n_nodes,)
        Number of rows in each leaf.
    missing_occurs : list of bool
        Per column, whether a value is missing, or a level that the tree does not know.
    teacher : ndarray of shape (n_nodes, n_outputs) or None
        Mean predictions of the teacher, NaN where there are no rows.
    observed : ndarray of shape (n_nodes, n_outputs) or None
        Observed shares of the classes, or mean values, NaN where there are no rows.
    student : ndarray of shape (n_nodes, n_outputs) or None
        Mean predictions of the student, NaN where there are no rows; None where every leaf has its
        own.
    """

    n_rows: np.ndarray
    missing_occurs: list
    teacher: np.ndarray | None
    observed: np.ndarray | None
    student: np.ndarray | None = None


def leaf_facts(student, teacher, X, y):
    """Count the rows in every leaf, and compare teacher and student there; inner nodes have none.

    Returns a list with the `LeafFacts` of every tree of the student, see `trees_of`.

    Parameters
    ----------
    student, teacher : Model
        As `student_and_teacher` finds them; the teacher may be None.
    X : array-like or data frame of shape (n_samples, n_features)
        Raw rows: teacher and student transform them each in its own way.
    y : array-like of shape (n_samples,) or None
        Observed classes, -1 where none was observed, or values.
    """
    plain = last_step(student.estimator)
    trees, rows = trees_of(plain), rows_for(student, X)
    reader = trees[0]
    missing_occurs = [bool(np.isnan(reader.column(rows, j)).any()) for j in range(rows.shape[1])]
    outputs = {
        "teacher": None if teacher is None else teacher.answers(X, student.labels),
        "observed": None if y is None else _observed(plain, y, rows),
        "student": student.answers(X, student.labels) if is_sum(plain) else None,
    }
    return [_facts(tree, tree.apply(rows), missing_occurs, outputs) for tree in trees]


def _facts(tree, leaf, missing_occurs, outputs):
    means = {
        of: None if values is None else _means(tree, leaf, values) for of, values in outputs.items()
    }
    return LeafFacts(np.bincount(leaf, minlength=len(tree.feature)), missing_occurs, **means)


def is_sum(student):
    """Tell whether a student is a sum of trees, not a single one."""
    return student.form == "tree_sum"


def trees_of(student):
    """Return the trees of a fitted student, a single one or those that it adds up."""
    return student.trees_ if is_sum(student) else (student.tree_,)


def rules_of_sum(student, classes, position, facts=None):
    """Turn a sum of trees into rules: tree by tree, then by what is added, the most first.

    What is added to the log-odds of the class at `position` against the geometric mean of the
    others, or to the prediction. `facts` are a list of `LeafFacts`, if there are rows.
    """
    contrast = contrast_of(len(student.intercept_), position, classes)
    label = None if classes is None else classes.tolist()[position]
    rules = []
    for number, tree in enumerate(student.trees_):
        of_tree = None if facts is None else _of_output(facts[number], position)
        added = replace(tree, value=(tree.value @ contrast)[:, None])
        rules += [
            replace(
                rule,
                tree=number + 1,
                label=label,
                student_score=None if facts is None else float(of_tree.student[rule.leaf, 0]),
            )
            for rule in rules_of(added, None, 0, of_tree)
        ]
    return tuple(rules)


def _of_output(facts, k):
    """Keep one output of what is known of leaves."""
    means = {of: getattr(facts, of) for of in ("teacher", "observed", "student")}
    kept = {of: None if mean is None else mean[:, [k]] for of, mean in means.items()}
    return replace(facts, **kept)


def rules_of(tree, classes, position, facts=None):
    """Turn a tree into rules: by class, then by score, the highest first.

    `classes` are the labels of its outputs, None in regression. Scores are of the output at
    `position`, None for the largest one of each leaf. `facts` are the `LeafFacts`, if there are
    rows.
    """
    ways = ways_to_nodes(tree, None if facts is None else facts.missing_occurs)
    leaves = np.flatnonzero(tree.children_left < 0)
    output = {leaf: tree.value[leaf].argmax() if position is None else position for leaf in leaves}
    in_order = sorted(leaves, key=lambda leaf: (output[leaf], -tree.value[leaf, output[leaf]]))
    return tuple(
        _rule(tree, classes, leaf, output[leaf], tuple(ways[leaf].values()), facts)
        for leaf in in_order
    )


def ways_to_nodes(tree, missing_occurs=None):
    """Merge the conditions on the way from the root: for every node, one by tested column.

    `missing_occurs` says per column whether conditions have to speak of missing values; None for
    yes.
    """
    ways = {0: {}}
    for node in np.flatnonzero(tree.children_left >= 0):  # parents come before children
        way = ways[node]
        for child, condition in branches(tree, node, missing_occurs):
            j = condition.column
            ways[child] = {**way, j: way[j] & condition if j in way else condition}
    return ways


def branches(tree, node, missing_occurs=None):
    """Return left and right child of an inner node, each with the condition that leads to it.

    `missing_occurs` says per column whether conditions have to speak of missing values; None for
    yes.
    """
    j, threshold = int(tree.feature[node]), tree.threshold[node]
    missing_left = bool(tree.missing_go_to_left[node])
    mention = True if missing_occurs is None else missing_occurs[j]
    if tree.levels[j] is None:
        threshold = float32_threshold(threshold)
        named = {"column": j, "name": tree.names[j], "single_precision": True}
        left = NumberCondition(
            high=threshold, missing=missing_left, mention_missing=mention, **named
        )
        right = NumberCondition(
            low=threshold, missing=not missing_left, mention_missing=mention, **named
        )
    else:
        n_left = np.searchsorted(np.arange(len(tree.levels[j])), threshold, side="right")
        low, high = tree.levels[j][:n_left], tree.levels[j][n_left:]
        left = LevelCondition(j, tree.names[j], low, high, missing_left, mention)
        right = LevelCondition(j, tree.names[j], high, low, not missing_left, mention)
    return [(tree.children_left[node], left), (tree.children_right[node], right)]


def _rule(tree, classes, leaf, k, conditions, facts):
    of_class = tree.value if facts is None or facts.observed is None else facts.observed
    rule = {
        "leaf": int(leaf),
        "conditions": conditions,
        "label": None if classes is None else classes.tolist()[k],
        "score": float(tree.value[leaf, k]),
        "share": float(tree.weight[leaf] / tree.weight[0]),
        "purity": None if classes is None else float(of_class[leaf].max()),
    }
    if facts is not None:
        rule["n_rows"] = int(facts.n_rows[leaf])
        rule["share"] = float(facts.n_rows[leaf] / facts.n_rows.sum())
        if facts.teacher is not None:
            rule["teacher_score"] = float(facts.teacher[leaf, k])
        if facts.observed is not None:
            rule["observed"] = float(facts.observed[leaf, k])
    return Rule(**rule)


def _observed(plain, y, rows):
    """Return one-hot rows, NaN where no class was observed, or a column of values."""
    if not hasattr(plain, "classes_"):
        y = finite_values(y, plain)
        check_consistent_length(rows, y)
        return y[:, None]
    codes = encode_observed(plain, y, rows, plain.classes_)
    one_hot = (codes[:, None] == np.arange(len(plain.classes_))).astype(np.float64)
    one_hot[codes < 0] = np.nan
    return one_hot


def _means(tree, leaf, outputs):
    """Average predictions over the rows in every leaf, of shape (n_nodes, n_outputs)."""
    known = ~np.isnan(outputs[:, 0])
    leaf, outputs = leaf[known], outputs[known]
    n_nodes = len(tree.feature)
    count = np.bincount(leaf, minlength=n_nodes)
    sums = np.stack([np.bincount(leaf, column, n_nodes) for column in outputs.T], axis=1)
    return np.divide(
        sums, count[:, None], out=np.full(sums.shape, np.nan), where=count[:, None] > 0
    )
