"""Conditions on single columns that people read and machines evaluate, both exactly."""

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Context, Decimal

import numpy as np

from skdistill.columns import column_values_as, is_frame
from skdistill.levels import level_numbers


class _Condition:
    """A condition on one column, of which a subclass says by `holds_for` which values fulfil it."""

    known_levels = None

    def holds(self, X):
        """Tell which rows fulfil the condition.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows as the student takes them; the column is found by name in a frame.

        Returns
        -------
        holds : ndarray of shape (n_samples,), bool
            Whether each row fulfils it.
        """
        return self.holds_for(_read_column(X, self))


@dataclass(frozen=True)
class NumberCondition(_Condition):
    """``low < x <= high`` on a numeric column.

    Attributes
    ----------
    column : int
        Position of the column.
    name : str
        Name of the column.
    low, high : float
        Ends of the range, the lower one excluded; infinite where there is none.
    missing : bool
        Whether rows fulfil the condition where the value is missing.
    mention_missing : bool
        Whether missing values can occur, so that `text` has to speak of them.
    single_precision : bool
        Whether the numbers are compared as float32, as trees do.
    """

    column: int
    name: str
    low: float = -np.inf
    high: float = np.inf
    missing: bool = False
    mention_missing: bool = True
    single_precision: bool = False

    def __and__(self, other):
        """Both conditions, which are on the same column, as one."""
        return replace(
            self,
            low=max(self.low, other.low),
            high=min(self.high, other.high),
            missing=self.missing and other.missing,
        )

    def holds_for(self, values):
        """Tell which values, as `column_values` returns them, fulfil the condition."""
        precision = np.float32 if self.single_precision else np.float64
        with np.errstate(over="ignore"):
            x, low, high = values.astype(precision), precision(self.low), precision(self.high)
        above = (x > low) | np.isneginf(low)  # float32 may turn a large number into -inf
        return np.where(np.isnan(x), self.missing, above & (x <= high))

    def text(self, name=None, max_levels=None):
        """Put the condition into words.

        Parameters
        ----------
        name : str or None, default=None
            What to call the column; None for its name, an empty string to leave it out.
        max_levels : int or None, default=None
            Only nominal columns have levels.

        Returns
        -------
        text : str
            The condition.
        """
        name = self.name if name is None else name
        if not self.low < self.high:
            return f"{name} is missing".lstrip()
        if np.isinf([self.low, self.high]).all():
            return f"{name} is {'anything' if self.missing else 'not missing'}".lstrip()
        return self._range(name) + (" or missing" if self.missing and self.mention_missing else "")

    def after(self, before):
        """Return the condition as needed where `before`, on the same column, already holds.

        It is silent on missing values if `before` has kept them away.
        """
        return replace(self, mention_missing=self.mention_missing and before.missing)

    def _range(self, name):
        low, from_low = self._end(self.low)
        high, before_high = self._end(self.high)
        up_to = "<" if before_high else "<="
        if np.isinf(self.low):
            return f"{name} {up_to} {high}".lstrip()
        above = ">=" if from_low else ">"
        if np.isinf(self.high):
            return f"{name} {above} {low}".lstrip()
        if not name:
            return f"{above} {low}, {up_to} {high}"
        return f"{low} {above.replace('>', '<')} {name} {up_to} {high}"

    def _end(self, number):
        """Write an end, or the next float32 if that takes fewer digits, and tell which it was."""
        text = number_text(number)
        if self.single_precision and np.isfinite(number):
            following = number_text(str(np.nextafter(np.float32(number), np.float32(np.inf))))
            if len(following) < len(text):
                return following, True
        return text, False


@dataclass(frozen=True)
class LevelCondition(_Condition):
    """A nominal column has one of some levels.

    Attributes
    ----------
    column : int
        Position of the column.
    name : str
        Name of the column.
    levels : tuple
        Levels that fulfil the condition.
    others : tuple
        Levels that do not.
    missing : bool
        Whether rows fulfil it where the value is missing, or a level that is in neither list.
    mention_missing : bool
        Whether such rows can occur, so that `text` has to speak of them.
    """

    column: int
    name: str
    levels: tuple
    others: tuple
    missing: bool = False
    mention_missing: bool = True

    @property
    def known_levels(self):
        """All levels that were seen at fit."""
        return self.levels + self.others

    @property
    def names_others(self):
        """Whether `text` names the levels that do not fulfil the condition: they are fewer."""
        return len(self.others) < len(self.levels)

    @property
    def named(self):
        """The levels that `text` names."""
        return self.others if self.names_others else self.levels

    def __and__(self, other):
        """Both conditions, which are on the same column, as one."""
        shared = set(self.levels) & set(other.levels)
        return replace(
            self,
            levels=tuple(level for level in self.levels if level in shared),
            others=tuple(level for level in self.known_levels if level not in shared),
            missing=self.missing and other.missing,
        )

    def holds_for(self, values):
        """Tell which values, as `column_values` returns them, fulfil the condition."""
        known = level_numbers(self.known_levels)
        other = len(self.levels) - self.missing  # counts as the last level, or as the first other
        positions = (known.get(value, other) for value in values)
        return np.fromiter(positions, int, len(values)) < len(self.levels)

    def text(self, name=None, max_levels=None):
        """Put the condition into words, by its levels or by the others, whichever are fewer.

        Parameters
        ----------
        name : str or None, default=None
            What to call the column; None for its name, an empty string to leave it out.
        max_levels : int or None, default=None
            Largest number of levels to name before the rest is counted; None for no limit.

        Returns
        -------
        text : str
            The condition.
        """
        name = self.name if name is None else name
        if not self.levels:
            words = "is missing"
        elif not self.others:
            words = "is anything" if self.missing else "is not missing"
        elif self.names_others:
            words = f"not in {{{levels_text(self.others, max_levels)}}}"
            if self.mention_missing:
                words += " or missing" if self.missing else " and not missing"
        else:
            words = f"in {{{levels_text(self.levels, max_levels)}}}"
            if self.mention_missing and self.missing:
                words += " or missing"
        return f"{name} {words}".lstrip()

    def after(self, before):
        """Return the condition as needed where `before`, on the same column, already holds.

        It is silent on levels, and on missing values, that `before` has kept away.
        """
        left = set(before.levels)
        return replace(
            self,
            levels=tuple(level for level in self.levels if level in left),
            others=tuple(level for level in self.others if level in left),
            mention_missing=self.mention_missing and before.missing,
        )


def float32_threshold(threshold):
    """Shorten a threshold without moving a single float32 to its other side.

    The number returned has the fewest digits for which the same rows have ``float32(x) <=
    float32(shortest)``, by which a tree sends them left.
    """
    below = np.float32(threshold)
    if float(below) > threshold:
        below = np.nextafter(below, np.float32(-np.inf))
    return float(str(below))


def shortest_between(low, high):
    """Return the number with the fewest decimal digits in the range [low, high)."""
    for digits in range(1, 18):
        rounded = float(Context(prec=digits, rounding=ROUND_CEILING).plus(Decimal(low)))
        if low <= rounded < high:
            return rounded
    return low


def number_text(number):
    """Write a number with as many digits as it needs, and no more."""
    return repr(float(number)).removesuffix(".0")


def levels_text(levels, max_levels=None):
    """Write levels in alphabetical order, in quotes where a bare one could be misread."""
    texts = sorted(map(_level_text, levels))
    if max_levels is None or len(texts) <= max_levels:
        return ", ".join(texts)
    return f"{', '.join(texts[:max_levels])} and {len(texts) - max_levels} more"


def _level_text(level):
    """Write a level, in quotes if without them it could be read as something else."""
    if level is None:
        return "missing"
    text = str(level)
    is_plain = text == text.strip(" {},'") and ", " not in text and text not in ("", "missing")
    return text if is_plain else repr(text)


def _read_column(X, condition):
    how = {"levels": condition.known_levels, "name": condition.name}
    if is_frame(X):
        return column_values_as(X, _position_in_frame(X, condition), **how)
    X = X if hasattr(X, "shape") else np.array(X, dtype=object)
    if condition.column >= X.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} columns; column {condition.column}, {condition.name!r}, was "
            "expected. Pass rows as the student takes them."
        )
    return column_values_as(X, condition.column, **how)


def _position_in_frame(X, condition):
    names = [str(name) for name in X.columns]
    if condition.name in names:
        return names.index(condition.name)
    if condition.name == f"x{condition.column}" and condition.column < len(names):
        return condition.column  # the student saw no names
    raise ValueError(
        f"X has no column {condition.name!r}; it has {names}. Pass rows as the student takes them."
    )
