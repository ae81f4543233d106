"""Fidelity of student and teacher, and how good both are: `compare_models` computes it.

`report_inputs` checks models and rows and predicts; `measures`, `scores` and `groups` turn the
predictions into statistics of the rows' weights, which `bootstrap` repeats on resamples; `segments`
looks for weak spots, `cost` measures, `verdict` decides, and `fidelity_report` holds the result,
with `notes` to its tables and `requirements`.
"""
