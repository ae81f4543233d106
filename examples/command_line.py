"""What the examples share: options with their defaults, tables from files, errors in one line."""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import (
    infer_dtype,
    is_bool_dtype,
    is_datetime64_any_dtype,
    is_numeric_dtype,
)

#: More columns than this are not listed in a message.
LISTED = 40

#: A column with more different values than this holds numbers, not classes.
MOST_CLASSES = 100


class Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Show the defaults of options, where there are any, and descriptions as they are written."""

    def _get_help_string(self, action):
        if action.default is None or action.default == []:
            return action.help
        return super()._get_help_string(action)


def make_parser(docstring, *, table=True):
    """Return a parser that describes an example by its docstring.

    Parameters
    ----------
    docstring : str
        ``__doc__`` of the example.
    table : bool, default=True
        Whether it reads a table and so has ``--data``, ``--target`` and ``--rows``.

    Returns
    -------
    parser : ArgumentParser
        The parser, to which the example adds options of its own.
    """
    parser = argparse.ArgumentParser(
        description=docstring.replace("``", "").strip(),
        usage="%(prog)s [options]",
        formatter_class=Formatter,
    )
    if table:
        parser.add_argument("--data", type=Path, help="parquet file; without it rows are simulated")
        parser.add_argument("--target", default="target", help="its column with the classes")
        parser.add_argument("--rows", type=positive, help="draw at most this many of its rows")
    parser.add_argument("--seed", type=not_negative, default=0, help="decides everything random")
    return parser


def parse(parser, *of_data):
    """Parse the command line; options that describe a table are refused where there is none.

    Parameters
    ----------
    parser : ArgumentParser
        The parser.
    *of_data : str
        Names of options that need ``--data``, beside ``--target`` and ``--rows``.

    Returns
    -------
    args : Namespace
        The options.
    """
    args = parser.parse_args()
    if args.data is None:
        for name in ("target", "rows", *of_data):
            if getattr(args, name) != parser.get_default(name):
                raise bad_input(
                    f"--{name} is about the columns or rows of a file: pass --data, too"
                )
    return args


def bad_input(message):
    """Return what ends an example with one line and exit code 2, as argparse does; raise it."""
    print(f"{Path(sys.argv[0]).name}: error: {message}", file=sys.stderr)
    return SystemExit(2)


def positive(text):
    """Parse a whole number above 0."""
    return _whole_number(text, 1)


def not_negative(text):
    """Parse a whole number from 0 on."""
    return _whole_number(text, 0)


def positive_number(text):
    """Parse a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def _whole_number(text, least):
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
    return value


def make_folder(path, option):
    """Make a folder to write into."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise bad_input(f"{option}: cannot make the folder {path}: {error.strerror}") from None


def check_file_to_write(path, option):
    """Check before long work that a file can be written."""
    if path.is_dir():
        raise bad_input(f"{option}: {path} is a folder; a file was expected")
    if not path.parent.is_dir():
        raise bad_input(f"{option}: there is no folder {path.parent}")


def read_frame(path, option="--data"):
    """Read a parquet file."""
    if path.is_dir():
        raise bad_input(f"{option}: {path} is a folder; a parquet file was expected")
    if not path.is_file():
        raise bad_input(f"{option}: there is no file {path}")
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # the engines raise errors of their own
        reason = str(error).partition("\n")[0]
        raise bad_input(f"{option}: cannot read {path} as parquet: {reason}") from None
    if len(frame) == 0:
        raise bad_input(f"{option}: {path} has no rows")
    return frame.reset_index(drop=True).rename(columns=str)


def check_columns(frame, names, option, path):
    """Check that a table has the columns that an option names."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        listed = ", ".join(frame.columns[:LISTED])
        if len(frame.columns) > LISTED:
            listed += f" and {len(frame.columns) - LISTED} more"
        names = ", ".join(map(repr, missing))
        raise bad_input(f"{option}: {path} has no column {names}; it has {listed}")


def read_table(path, target, n_rows=None, seed=0, time=None):
    """Read columns and classes from a parquet file, of at most `n_rows` rows.

    Parameters
    ----------
    path : Path
        The file.
    target : str
        Its column with the classes.
    n_rows : int or None, default=None
        If there are more rows, this many are drawn, and kept in their order.
    seed : int, default=0
        Draws them.
    time : str or None, default=None
        A column that may hold dates, which become seconds since the first one.

    Returns
    -------
    X : data frame of shape (n_samples, n_features)
        The other columns: numbers, and strings as categories.
    y : Series of shape (n_samples,)
        The classes.
    """
    frame = read_frame(path)
    check_columns(frame, [target], "--target", path)
    if time is not None:
        check_columns(frame, [time], "--time", path)
        if is_datetime64_any_dtype(frame[time]):
            frame[time] = (frame[time] - frame[time].min()).dt.total_seconds()
    if frame.shape[1] == 1:
        raise bad_input(f"--data: {path} has no column but {target!r}")
    if n_rows is not None and n_rows < len(frame):
        frame = frame.sample(n_rows, random_state=seed).sort_index().reset_index(drop=True)
    y = frame.pop(target)
    if y.isna().any():
        raise bad_input(
            f"--target: {y.isna().sum():,} of {len(y):,} rows have no class in {target!r}"
        )
    if y.nunique() < 2:
        drawn = "" if n_rows is None else f" in the {len(y):,} rows that --rows {n_rows} leaves"
        raise bad_input(
            f"--target: {target!r} holds {shown(y.iloc[0])} alone{drawn}; two classes are needed"
        )
    if y.nunique() > MOST_CLASSES:
        raise bad_input(f"--target: {target!r} holds {y.nunique():,} different values, no classes")
    return as_numbers_and_categories(frame), y


def as_numbers_and_categories(X, option="--data"):
    """Make every column of a table numbers or categories, as teachers and students take them."""
    columns = {name: _as_numbers_or_category(X[name]) for name in X}
    others = [name for name, column in columns.items() if column is None]
    if others:
        kinds = ", ".join(f"{name} ({X[name].dtype})" for name in others)
        raise bad_input(f"{option}: columns of neither numbers nor strings: {kinds}")
    infinite = [
        name
        for name, column in columns.items()
        if is_numeric_dtype(column) and np.isinf(column.to_numpy(np.float64, na_value=np.nan)).any()
    ]
    if infinite:
        raise bad_input(f"{option}: columns with infinite values: {', '.join(infinite)}")
    return pd.DataFrame(columns)


def _as_numbers_or_category(column):
    """Return a column as numbers or strings, None if it is neither."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column
    if is_bool_dtype(column.dtype) or is_numeric_dtype(column.dtype):
        has_own_missing = pd.api.types.is_extension_array_dtype(column.dtype)
        is_plain = not has_own_missing and column.dtype.kind in "iuf"
        return column if is_plain else column.astype("Float64").astype(np.float64)
    kind = infer_dtype(column, skipna=True)
    if kind == "boolean":
        return column.astype("boolean").astype("Float64").astype(np.float64)
    return column.astype("category") if kind in ("string", "empty") else None


def shown(value):
    """Return a class as it is shown in a message."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def check_class_sizes(y, least, target="target"):
    """Check that every class has enough rows to be split."""
    sizes = pd.Series(y).value_counts()
    if sizes.iloc[-1] < least:
        raise bad_input(
            f"--target: class {shown(sizes.index[-1])} of {target!r} has {sizes.iloc[-1]} of "
            f"{len(y):,} rows; at least {least} of every class are needed"
        )


def as_zero_and_one(y, positive_class, name):
    """Return 1 for the class to be found, and 0 for the other one.

    Parameters
    ----------
    y : Series of shape (n_samples,)
        Classes, two of them.
    positive_class : str or None
        The class that is 1, as text; None for 1 or True, if the other one is 0 or False.
    name : str
        What the class is, for messages.

    Returns
    -------
    codes : ndarray of shape (n_samples,)
        0 and 1.
    """
    classes = sorted(y.unique().tolist(), key=str)
    listed = ", ".join(map(repr, classes[:8])) + (", ..." if len(classes) > 8 else "")
    if len(classes) != 2:
        raise bad_input(f"--target: {y.name!r} holds {listed}; two classes were expected")
    if positive_class is None:
        if classes != [0, 1]:
            raise bad_input(
                f"--target: {y.name!r} holds {listed}; say which is {name} by --positive VALUE"
            )
        return y.to_numpy().astype(int)
    found = [each for each in classes if _is_written(each, positive_class)]
    if not found:
        raise bad_input(f"--positive: {y.name!r} holds {listed}, not {positive_class!r}")
    return (y == found[0]).to_numpy().astype(int)


def _is_written(value, text):
    """Tell whether a class is what was written on the command line."""
    if isinstance(value, str | bool):
        return str(value) == text
    try:
        return float(text) == value
    except ValueError:
        return False


def as_classes(y):
    """Return classes as students take them: whole numbers or strings."""
    classes = y.astype(int) if is_bool_dtype(y.dtype) else y
    classes = np.asarray(classes.tolist())
    if -1 in classes:
        raise bad_input(f"--target: {y.name!r} holds -1, which marks rows without a class")
    return classes
