"""Choose how values are computed: by a closed form, from trees, or by walks, as a model allows."""

from dataclasses import dataclass, replace

import numpy as np

from skdistill.estimators import see_through
from skdistill.report.reasons.shapley.additive_start import AdditiveStart, WalksFromStart
from skdistill.report.reasons.shapley.mixed_rows import MixedRows
from skdistill.report.reasons.shapley.read_trees import read_trees
from skdistill.report.reasons.shapley.trees import tree_shapley_values
from skdistill.report.reasons.shapley.walks import plan_walks, walk_all
from skdistill.students.base import stated

#: Predictions per row, unless said otherwise: of models, and of students, which predict from plain
#: arrays, which take a microsecond. More if it takes more for a walk from every background row.
EVALS, EVALS_OF_ARRAYS = 6_000, 18_000


@dataclass(frozen=True)
class Attribution:
    """Shapley values, and how they came about.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_columns, n_outputs)
        For every row they add up to its prediction minus the base.
    base : ndarray of shape (n_outputs,)
        Mean prediction of the background.
    method : str
        How they were computed.
    """

    values: np.ndarray
    base: np.ndarray
    method: str


def attribute(output, pool, *, max_evals, random_state, bar):
    """Compute Shapley values by the best method that the model allows.

    Exact for additive students where their curves and tables add up to the prediction, and for
    models that are sums of trees there; sampled for all others, by at most `max_evals` evaluations
    per row, None for as many as usual. `bar` wraps what is worked off.
    """
    last = see_through(output.model.estimator, pool.table)
    if last is not None:
        if stated(last.estimator, "form") == "additive" and output.space != "probability":
            return _closed_form(output, pool, last)
        if stated(last.estimator, "starts_with_a_sum"):
            walks = _plan(pool, max_evals, EVALS_OF_ARRAYS, random_state)
            return _by_walks(WalksFromStart(output, walks, *_first_step(pool, last)), bar)
        found = read_trees(last, output, pool)
        if found is not None:
            return _by_trees(output, pool, last, found, bar)
    walks = _plan(pool, max_evals, EVALS, random_state)
    return _by_walks(MixedRows(output, pool, walks), bar)


def partners(output, pool):
    """Find the columns that contribute most of what they do together with another one.

    Returns
    -------
    partners : ndarray of shape (n_explained, n_columns, n_outputs), int, or None
        The column of the user that one makes pairs with if their share raises the log-odds, or the
        prediction, more than its own curve does and its share of any other pairs; -1 where there is
        none. None of models without tables of pairs.

    Notes
    -----
    Log-odds decide in probability, too: there, what a column adds is no sum of such parts.
    """
    last = see_through(output.model.estimator, pool.table)
    if last is None or stated(last.estimator, "form") != "additive" or not last.estimator.tables_:
        return None
    start, positions, at_z, games = _first_step(pool, last)
    alone, shares = start.parts(positions) - at_z.mean(axis=0), {}
    for game in games:
        (a, b), (of_a, of_b) = game.players, game.mean_shares().swapaxes(0, 1)
        for player, other, share in ((a, b, of_a), (b, a, of_b)):
            if player == other:
                alone[:, player] += share
            else:
                shares[player, other] = shares.get((player, other), 0) + share
    output = replace(output, space="log_odds") if output.space == "probability" else output
    most = output.of_sums(alone).clip(min=0)
    found = np.full(most.shape, -1)
    for (player, other), share in shares.items():
        raises = output.of_sums(share)
        is_more = raises > most[:, player]
        found[:, player][is_more], most[:, player][is_more] = other, raises[is_more]
    return found


def _first_step(pool, last):
    """Return the first step of a student, and what it makes of rows and background."""
    start = AdditiveStart.of(last)
    positions = start.positions(last.table)
    at_z = start.parts(positions[pool.background])
    return start, positions[pool.explained], at_z, start.games(positions, pool)


def _closed_form(output, pool, last):
    start, positions, at_z, games = _first_step(pool, last)
    sums = at_z.sum(axis=1) + start.intercept + sum(game.at_background() for game in games)
    values = start.parts(positions) - at_z.mean(axis=0)
    for game in games:
        for player, share in zip(game.players, game.mean_shares().swapaxes(0, 1), strict=True):
            values[:, player] += share
    base = output.of_outputs(sums).mean(axis=0)
    return Attribution(output.of_sums(values), base, "closed form")


def _by_trees(output, pool, last, found, bar):
    X, background = found.matrix[pool.explained], found.matrix[pool.background]
    players = last.owner, last.n_columns
    values = tree_shapley_values(found.trees, X, background, *players, bar)
    base = output.of_rows(pool.background_rows).mean(axis=0)
    n_trees = len(found.trees)
    method = f"exact, from {n_trees:,} tree{'s' if n_trees > 1 else ''}"
    return Attribution(output.of_sums(values), base, method)


def _plan(pool, max_evals, usual, random_state):
    n_background, n_columns = len(pool.background), pool.n_columns
    if max_evals is None:
        max_evals = max(usual, n_background * (n_columns - 1))
    return plan_walks(n_background, n_columns, max_evals, random_state)


def _by_walks(model, bar):
    values, base = walk_all(model.walks, model.n_rows, model.outputs_along_walks(), bar)
    n_walks, n_columns = model.walks.order.shape
    n_evals = n_walks * (n_columns - 1)
    return Attribution(values, base, f"sampled, {n_walks:,} walks, {n_evals:,} evaluations per row")
