"""A caller's row as one number per column: the input checks of all scorers.

NumPy is not imported here: compiled libraries are called without it.
"""

from operator import itemgetter

from skdistill.levels import can_be_numbers, is_missing, level_numbers

NAN = float("nan")

#: The number of a category that is not a level.
UNKNOWN = -1.0


def are_texts(levels):
    """Tell whether the categories of a column are looked up by text, not compared as numbers.

    True if any is a string, or if there are no categories: then every cell is unknown or missing.
    """
    return not levels or any(isinstance(level, str) for level in levels)


class CellReader:
    """Turns rows into numbers, as the generated C expects them.

    Parameters
    ----------
    names : list of str
        Names of the columns.
    levels : list of (tuple or None)
        Per column the categories; None for numbers. What equals one, see `skdistill.levels`,
        becomes the number of the level, or where all categories are numbers, that category.
    """

    def __init__(self, names, levels):
        self.names = names
        self.n_columns = len(names)
        self._pick = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        nominal = {j: each for j, each in enumerate(levels) if each is not None}
        self._tables = {
            j: {cell: float(k) for cell, k in level_numbers(each).items()} | {None: NAN}
            for j, each in nominal.items()
            if are_texts(each)
        }
        self._written = {j: _Written(each) for j, each in nominal.items() if j not in self._tables}
        self.has_texts = bool(self._tables)

    def has_text(self, j):
        """Tell whether a column holds categories whose numbers must be looked up."""
        return j in self._tables

    def cells(self, row):
        """Return the cells of a row in the order of the columns; only categories are checked.

        The row is a sequence in that order, or a dict or Series by name; categories that are
        strings become numbers of levels. Raises ValueError if the number of cells is wrong, or a
        column is missing or unknown, and TypeError if it is not a row, or a column of strings holds
        something else.
        """
        row = self.in_order(row)
        if not self._tables:
            return row
        row = list(row)
        for j, table in self._tables.items():
            cell = row[j]
            try:
                row[j] = table[cell]
            except (KeyError, TypeError):
                row[j] = self._unlisted(j, cell)
        return row

    def in_order(self, row):
        """Return the unchanged cells of a row in the order of the columns; see `cells`."""
        kind = type(row)
        if kind is not list and kind is not tuple:
            row = self._as_sequence(row)
        if len(row) != self.n_columns:
            raise ValueError(
                f"The row has {len(row)} cells; {self.n_columns} were expected, one for each of "
                f"{_some(self.names)}."
            )
        return row

    def numbers(self, cells):
        """Turn every cell into a float, with NaN where missing.

        Raises TypeError, which names the column, if a cell is not a number.
        """
        return [self._number(j, cell) for j, cell in enumerate(cells)]

    def _number(self, j, cell):
        """Return a cell as a number; it may be a category that is a number, as text."""
        if j in self._written and isinstance(cell, str):
            return self._written[j].number(cell)
        return _number(cell, self.names[j])

    def level_number(self, j, cell):
        """Return the number of a category, `UNKNOWN` or NaN; or the cell, if they are numbers."""
        if j not in self._tables:
            return self._number(j, cell)
        try:
            return self._tables[j][cell]
        except (KeyError, TypeError):
            return self._unlisted(j, cell)

    def refuse_infinite(self, cells, where="Column"):
        """Raise an error that names the first column with an infinite cell."""
        for cell, name in zip(self.numbers(cells), self.names, strict=True):
            if cell in (float("inf"), float("-inf")):
                raise ValueError(
                    f"{where} {name!r} is infinite. Finite or missing values were expected: clip "
                    "or replace it."
                )

    def check_names(self, names):
        """Raise an error that names the columns which are missing or unknown."""
        given, known = set(names), set(self.names)
        if given != known or len(names) != len(self.names):
            lacking = [name for name in self.names if name not in given]
            unknown = [name for name in names if name not in known]
            told = [f"{_some(lacking)} missing"] * bool(lacking)
            told += [f"{_some(unknown)} unknown"] * bool(unknown)
            told = told or ["one there twice"]
            raise ValueError(
                f"Other columns were expected: {', '.join(told)}. The student has "
                f"{self.n_columns}: {_some(self.names)}."
            )

    def _as_sequence(self, row):
        if hasattr(row, "keys"):
            try:
                cells = self._pick(row)
            except KeyError:
                cells = ()
            if len(cells) != len(row):
                self.check_names(list(row.keys()))
            return cells
        if hasattr(row, "tolist") and getattr(row, "ndim", 1) == 1:
            if getattr(getattr(row, "dtype", None), "kind", None) in ("M", "m"):
                raise TypeError("The row holds dates or durations; numbers were expected.")
            return row.tolist()
        raise TypeError(
            f"The row is {_of_type(row)}; a list, a tuple, a dict by column or an "
            "array of one dimension was expected. Tables are scored by batch(X)."
        )

    def _unlisted(self, j, cell):
        """Return the number of a category that is not a level."""
        if is_missing(cell):
            return NAN
        table = self._tables[j]
        if isinstance(cell, str) or len(table) == 1 or can_be_numbers(table):
            return UNKNOWN
        raise TypeError(
            f"Column {self.names[j]!r} holds {cell!r}, {_of_type(cell)}; a category was expected, "
            "a string or None."
        )


class _Written:
    """The texts that are categories of a column of numbers, see `skdistill.levels`."""

    def __init__(self, levels):
        self._numbers = {
            text: float(levels[k]) for text, k in level_numbers(levels).items() if text is not None
        }
        #: A number that is not a category, for texts that are not categories.
        self._other = next(x for x in map(float, range(len(levels) + 1)) if x not in levels)

    def number(self, text):
        """Return the number of a category that is given as text, or one that is not a category."""
        return self._numbers.get(text, self._other)


def _number(cell, name):
    if is_missing(cell):
        return NAN
    if isinstance(cell, str | bytes):
        raise TypeError(
            f"Column {name!r} holds {cell!r}, {_of_type(cell)}; a number was expected, or None."
        )
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise TypeError(
            f"Column {name!r} holds {_of_type(cell)}; a number was expected, or None."
        ) from None
    except OverflowError:
        raise ValueError(
            f"Column {name!r} holds an integer that is too large for a float."
        ) from None


def _of_type(value):
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _some(names):
    """List names for a message, not all of hundreds."""
    shown = ", ".join(repr(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
