"""How a student was made: parameters, rows by origin, versions, and a fingerprint of the data."""

import hashlib
import inspect
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from skdistill.columns import row_hashes
from skdistill.estimators import last_step
from skdistill.formatting import number, title_of
from skdistill.teacher.asking import package_of


def provenance_of(inputs, settings):
    """Collect how models and report were made: headings, and what is below them by name."""
    distiller = last_step(getattr(inputs.model, "best_estimator_", inputs.model))
    parts = {"Models": {role: _describe(model) for role, model in inputs.models.items()}}
    if hasattr(distiller, "student_"):
        parts["Distillation"] = _distillation(distiller)
        parts["Rows the student learned from"] = _rows_by_origin(distiller.transfer_summary_)
    parts["Rows of this report"] = {
        "rows": number(inputs.n_samples),
        "columns": ", ".join(inputs.names),
        "SHA-256": fingerprint_of_rows(inputs),
    }
    parts["Settings of this report"] = {
        title_of(name): _in_words(value)
        for name, value in settings.items()
        if value is not None and value != []
    }
    parts["Versions"] = _versions(inputs)
    return parts


def fingerprint_of_rows(inputs):
    """Return the SHA-256 of rows, observed labels and weights; the same in any container."""
    digest = hashlib.sha256(np.ascontiguousarray(row_hashes(inputs.X)).tobytes())
    if inputs.y is not None:
        digest.update(np.ascontiguousarray(inputs.y, dtype=np.float64).tobytes())
    digest.update(np.ascontiguousarray(inputs.sample_weight).tobytes())
    return digest.hexdigest()


def _in_words(value):
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else title_of(str(value))


def _describe(model):
    """Write an estimator with the parameters that are not the defaults, on one line."""
    return re.sub(r" at 0x[0-9a-f]+", "", " ".join(repr(model.estimator).split()))


def _distillation(distiller):
    choice = getattr(distiller, "alpha_choice_", None)
    alpha = number(float(distiller.alpha)) if choice is None else choice.in_words()
    facts = {"alpha": alpha, "labelling": distiller.labelling_}
    if hasattr(distiller, "temperature_"):
        facts["temperature"] = number(float(distiller.temperature_))
    correction = getattr(distiller, "label_correction_", None)
    facts["label correction"] = "none" if correction is None else correction.in_words()
    facts |= {name.replace("_", " "): str(value) for name, value in _beyond(distiller).items()}
    augmentation = distiller.augmentation_
    facts["augmentation"] = "none" if augmentation is None else repr(augmentation)
    facts["random state"] = str(distiller.random_state)
    return facts


def _beyond(distiller):
    """Return the options used beyond soft labels: parameters that are not the defaults."""
    parameters = inspect.signature(type(distiller)).parameters.values()
    return {
        p.name: getattr(distiller, p.name)
        for p in parameters
        if (p.name in ("loss", "generations") or p.name.endswith("_weight"))
        and getattr(distiller, p.name) != p.default
    }


def _rows_by_origin(summary):
    return {
        origin: f"{part['rows']:,} rows, total weight {part['weight']:,.0f}, "
        f"labelled {part['labelling']}"
        for origin, part in summary.items()
        if part["rows"]
    }


def _versions(inputs):
    packages = ["skdistill", "scikit-learn", "numpy"]
    packages += sorted({package_of(last_step(model.estimator)) for model in inputs.models.values()})
    found = {"Python": platform.python_version()}
    for package in packages:
        try:
            found.setdefault(package, version(package))
        except PackageNotFoundError:
            continue  # its distribution has another name: sklearn is scikit-learn
    found["made"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return found
