"""Reports as text, tables, frames and JSON, and the format and titles of their numbers."""

import json
import math
from dataclasses import asdict, fields

from skdistill.scorer.files import check_writable
from skdistill.weighted_statistics import Estimate

#: What people read instead of the names in code.
TITLES = {
    "accuracy": "accuracy",
    "agreement": "agreement",
    "average_precision": "PR-AUC (average precision)",
    "brier": "Brier score",
    "calibration_error": "calibration error (ECE)",
    "card_precision_at_k": "card precision in a day's top k",
    "js_divergence": "JS divergence",
    "kl_divergence": "KL divergence",
    "log_loss": "log loss",
    "macro_f1": "macro F1",
    "mae": "mean absolute error",
    "margin_r2": "R² of margins",
    "max_difference": "difference, largest",
    "mean_difference": "difference, mean",
    "p95_difference": "difference, 95% quantile",
    "p99_difference": "difference, 99% quantile",
    "precision_at_k": "precision in the top k",
    "precision_at_k_per_day": "precision in a day's top k",
    "r2": "R²",
    "rank_correlation": "rank correlation",
    "recall_at_1_percent_fpr": "recall at 1% false positives",
    "recall_at_5_percent_fpr": "recall at 5% false positives",
    "recall_at_k_per_day": "recall in a day's top k",
    "n_bytes": "size",
    "n_rows": "number",
    "n_samples": "rows",
    "row_p50": "one row, median (µs)",
    "row_p99": "one row, 99% (µs)",
    "rows_per_second": "rows per second",
    "student_minus_baseline": "student - baseline",
    "student_minus_teacher": "student - teacher",
    "rmse": "root mean squared error",
    "roc_auc": "ROC-AUC",
    "top_k_overlap": "overlap of the top k",
    "top_k_rank_correlation": "rank correlation in the top k",
}

#: Sizes below it are taken for rounding errors, and written as 0.0000.
SMALLEST_SHOWN = 1e-9


def title_of(name):
    """Return what people read for a name in code."""
    stem, arrow = (name[:-2], name[-2:]) if name[-1:] in "↑↓" else (name, "")
    return TITLES.get(stem, stem.replace("_", " ")) + arrow


def number(value):
    """Write a number with about four digits, and without an exponent; "-" where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Estimate):
        text, low, high = estimate_texts(value)
        return f"{text} [{low}, {high}]" if low else text
    if isinstance(value, float):
        return "0" if value == 0 else decimals(value, _decimals_for(abs(value)))
    return str(value)


def estimate_texts(estimate):
    """Write an estimate and the ends of its interval, "" without one, to the same decimals."""
    value, low, high = estimate.value, estimate.low, estimate.high
    if math.isnan(low):
        return number(value), "", ""
    size = max(abs(value), abs(low), abs(high))
    places = 0 if size == 0 else _decimals_for(size)
    return tuple(decimals(each, places) for each in (value, low, high))


def decimals(value, places):
    """Write a number with this many decimals, and never a negative zero."""
    text = f"{value:,.{places}f}"
    return text if any(digit in text for digit in "123456789") else text.removeprefix("-")


def percent(share):
    """Write a share in percent, with as many digits as tell it from 0% and 100%; "-" for NaN."""
    if math.isnan(share):
        return "-"
    rest = min(abs(share), abs(1 - share))
    if rest == 0:
        return f"{100 * abs(share):.0f}%"
    return f"{decimals(100 * share, max(1, min(3, math.ceil(-math.log10(rest)) - 2)))}%"


def _decimals_for(size):
    """Decimals that show two digits of a number of this size, 4 or more where it is small."""
    if size >= 10:
        return 0 if size >= 1000 else 2
    if size >= 1e-4 or size < SMALLEST_SHOWN:
        return 4
    return 1 + math.ceil(-math.log10(size))


def cell(name, value):
    """Write one cell of a table; columns of names in code show what people read."""
    if name == "n_bytes" and value is not None:
        return size_text(value)
    if name in ("row_p50", "row_p99"):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    if name == "threshold":
        return f"{value:g}"
    return title_of(value) if name in ("score", "measure", "rate", "model") else number(value)


def size_text(n_bytes):
    """Write a number of bytes with three digits and a unit."""
    units = ("B", "kB", "MB", "GB", "TB")
    power = min(len(units) - 1, int(math.log(max(n_bytes, 1), 1000)))
    return f"{n_bytes / 1000**power:.3g} {units[power]}"


def time_text(microseconds):
    """Write a time with three digits and a unit."""
    units = ("µs", "ms", "s")
    power = min(len(units) - 1, int(math.log(max(microseconds, 1), 1000)))
    return f"{microseconds / 1000**power:.3g} {units[power]}"


def text_table(rows):
    """Lay out rows, dicts with the same keys, as lines of text with aligned columns."""
    header = [title_of(name) for name in rows[0]]
    cells = [header, *([cell(*item) for item in row.items()] for row in rows)]
    widths = [max(len(row[j]) for row in cells) for j in range(len(header))]
    numeric = [not isinstance(value, str) for value in rows[0].values()]
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    )


def columns_of(rows):
    """Turn rows into a dict of columns; estimates take three: value, ``_low`` and ``_high``."""
    columns = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        if any(isinstance(value, Estimate) for value in values):
            missing = Estimate(math.nan, math.nan, math.nan)
            values = [missing if value is None else value for value in values]
            columns[name] = [value.value for value in values]
            columns[f"{name}_low"] = [value.low for value in values]
            columns[f"{name}_high"] = [value.high for value in values]
        else:
            columns[name] = values
    return columns


def plain(value):
    """Turn nested dicts, tuples and numbers into what JSON knows; NaN becomes None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def pandas_frame(columns):
    """Make a pandas frame of a dict of columns, or raise ImportError with what to install."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "A data frame needs pandas, which is not installed. Install it with: pip install pandas"
        ) from error
    return pd.DataFrame(columns)


def write(text, path):
    """Write a text to a path, or return it if there is none; see `check_writable` for errors."""
    if path is None:
        return text
    check_writable(path).write_text(text, encoding="utf-8")
    return None


def fields_of(item):
    """Return the fields of a data class as a dict, estimates left whole."""
    return {field.name: getattr(item, field.name) for field in fields(item)}


class JsonReport:
    """A report that is a data class, as nested dicts and as JSON."""

    def to_dict(self):
        """Return everything as nested dicts and lists of plain numbers and strings."""
        return plain(asdict(self))

    def to_json(self, path=None):
        """Write `to_dict` as JSON.

        Parameters
        ----------
        path : str, path-like or None, default=None
            Where to write it; None returns it.

        Returns
        -------
        json : str or None
            The text, if no path was given.
        """
        return write(json.dumps(self.to_dict(), indent=2), path)


class TabularReport(JsonReport):
    """A report whose parts are tables, by `section`; `MAIN_SECTION` names the main one."""

    def to_frame(self, section=None):
        """Return one part of the report as a data frame.

        Parameters
        ----------
        section : str or None, default=None
            See `section`; None for the main one.

        Returns
        -------
        frame : pandas.DataFrame
            Estimates take three columns: the value, ``_low`` and ``_high``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return pandas_frame(columns_of(self.section(section or self.MAIN_SECTION)))
