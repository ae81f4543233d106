"""Draw what a pair of columns adds as a heat map.

The axes of the map are places: a number has the place that it has on the axis of its curve, a level
a cell of its own, and missing one that is set off at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skdistill.columns import is_missing
from skdistill.report.displays.curves import range_of
from skdistill.report.plotting import import_pyplot, rank_knots, short_numbers, shorten
from skdistill.students.encoding import knot_design

#: Cells along the range of a column of numbers, and the largest number of ticks there.
N_CELLS, N_TICKS = 48, 4

#: Places between the other cells and the one for missing, the width of the latter, and of the end
#: of the others that has no tick then.
GAP, MISSING, ROOM = 0.05, 0.1, 0.1

#: Letters of a level, and of the name of a column, that are shown; more below the map are slanted.
MAX_LETTERS, MAX_ABREAST = 20, 24

#: Colours from what lowers the prediction to what raises it.
DIVERGING = "RdBu_r"


@dataclass(frozen=True)
class Cells:
    """The cells along one axis of a heat map.

    Attributes
    ----------
    borders : ndarray of shape (n_cells + 1,)
        Places where they begin and end.
    weights : ndarray of shape (n_cells, n_knots)
        Weights of the knots of the table at the middle of each; NaN where nothing is drawn.
    ticks : ndarray of shape (n_ticks,)
        Places of the ticks.
    tick_labels : list of str
        What stands there.
    label : str
        Name of the axis.
    places_of : callable
        Turns values of the column into places; NaN where there is none.
    """

    borders: np.ndarray
    weights: np.ndarray
    ticks: np.ndarray
    tick_labels: list
    label: str
    places_of: Callable


def draw_heat_map(ax, pair, limit, unit, *, cmap=None, max_levels=10):
    """Draw a `Pair`, with a colour bar beside it: colours reach from ``-limit`` to ``limit``."""
    x, y = (cells_of(pair, which, max_levels) for which in (0, 1))
    added = np.where(
        np.isnan(y.weights[:, :1]) | np.isnan(x.weights[:, 0]),
        np.nan,
        np.nan_to_num(y.weights) @ pair.values.T @ np.nan_to_num(x.weights).T,
    )
    mesh = ax.pcolormesh(
        x.borders,
        y.borders,
        added,
        cmap=import_pyplot().get_cmap(cmap or DIVERGING),
        vmin=-limit,
        vmax=limit,
        rasterized=True,
    )
    if pair.sample is not None:
        _draw_rows(ax, x, y, pair.sample)
    ax.set_xticks(x.ticks, x.tick_labels, parse_math=False)
    ax.set_yticks(y.ticks, y.tick_labels, parse_math=False)
    slant_if_long(ax, x.tick_labels)
    ax.set(xlim=x.borders[[0, -1]], ylim=y.borders[[0, -1]])
    ax.set_xlabel(x.label, parse_math=False)
    ax.set_ylabel(y.label, parse_math=False)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(mesh, ax=ax)
    bar.solids.set_rasterized(True)
    bar.outline.set_visible(False)
    bar.set_label(unit, parse_math=False)
    return mesh


def _draw_rows(ax, x, y, sample):
    """Draw a point for every row, at a random place in its cell where the cell is a category's."""
    rng = np.random.RandomState(0)
    places = [
        _spread(cells.places_of(values), cells, rng)
        for cells, values in zip((x, y), sample, strict=True)
    ]
    ax.scatter(*places, s=3, color="0.25", alpha=0.5, lw=0, rasterized=True)


def _spread(places, cells, rng):
    width = np.diff(cells.borders)
    cell = np.clip(np.searchsorted(cells.borders, places) - 1, 0, len(width) - 1)
    moved = places + 0.8 * width[cell] * (rng.random_sample(len(places)) - 0.5)
    return np.clip(moved, cells.borders[cell], cells.borders[cell + 1])


def slant_if_long(ax, labels):
    """Slant the labels below an axes if there are too many letters to stand side by side."""
    if sum(map(len, labels)) > MAX_ABREAST:
        ax.tick_params(axis="x", rotation=30)
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")


def cells_of(pair, which, max_levels=10):
    """Lay out one axis of a `Pair`, whose columns are 0 and 1."""
    lay_out = _levels if pair.axes[which].edges is None else _numbers
    return lay_out(pair, which, max_levels)


def _numbers(pair, which, _):
    axis, column, name = pair.axes[which], pair.encodings[which], pair.names[which]
    knots = rank_knots(column.edges)
    label = shorten(name, MAX_LETTERS)
    if knots is None:
        knots = np.array(range_of(column))
        from matplotlib.ticker import MaxNLocator

        ticks = MaxNLocator(N_TICKS).tick_values(*knots)
        ticks = ticks[(ticks >= knots[0]) & (ticks <= knots[-1])]
    else:
        ticks = knots[np.unique(np.linspace(0, len(knots) - 1, N_TICKS).round().astype(int))]
        label += ", by rank"
    place = np.linspace(0, 1, len(knots))
    if axis.has_missing_code:
        ticks = ticks[np.interp(ticks, knots, place) <= 1 - ROOM]
    borders = np.linspace(0, 1, N_CELLS + 1)
    middles = np.interp((borders[1:] + borders[:-1]) / 2, place, knots)
    weights = knot_design(axis, axis.positions(middles)).toarray()

    def places_of(values):
        known = values if axis.fill_value is None else np.nan_to_num(values, nan=axis.fill_value)
        return np.interp(known, knots, place)

    ticks, labels = np.interp(ticks, knots, place), short_numbers(ticks)
    cells = Cells(borders, weights, ticks, labels, label, places_of)
    return _with_missing(cells, len(axis.edges)) if axis.has_missing_code else cells


def _levels(pair, which, max_levels):
    axis, name = pair.axes[which], pair.names[which]
    names = pair.level_names(which)
    known = [knot for knot, level in enumerate(axis.levels) if level is not None]
    known += [len(axis.levels)] * axis.has_infrequent
    shown = _most_telling(pair, which, known, max_levels)
    label = shorten(name, MAX_LETTERS)
    if len(shown) < len(known):
        label += f", {len(shown)} of {len(known)} levels"
    borders = np.linspace(0, 1, len(shown) + 1)
    labels = [shorten(names[knot], MAX_LETTERS) for knot in shown]
    weights = np.eye(pair.values.shape[which])[shown]
    middles = (borders[1:] + borders[:-1]) / 2
    place = np.full(pair.values.shape[which] + 1, np.nan)  # last of what is at no knot
    place[shown] = middles
    cells = Cells(
        borders,
        weights,
        middles,
        labels,
        label,
        lambda values: place[axis.positions(values).astype(np.intp)],
    )
    return _with_missing(cells, axis.levels.index(None)) if None in axis.levels else cells


def _most_telling(pair, which, known, max_levels):
    """Choose the levels that matter most, in their order."""
    size = np.abs(pair.values).mean(axis=1 - which)[known]
    return [known[at] for at in np.sort(np.argsort(-size, kind="stable")[:max_levels])]


def _with_missing(cells, knot):
    """Add a cell for missing, set off from the others."""
    start = cells.borders[-1] + GAP
    apart = np.full((1, cells.weights.shape[1]), np.nan)
    missing = np.eye(cells.weights.shape[1])[[knot]]
    middle = start + MISSING / 2
    return Cells(
        np.append(cells.borders, [start, start + MISSING]),
        np.concatenate([cells.weights, apart, missing]),
        np.append(cells.ticks, middle),
        [*cells.tick_labels, "missing"],
        cells.label,
        lambda values: np.where(is_missing(values), middle, cells.places_of(values)),
    )
