"""Why do teacher and student predict as they do? `explain` explains, `compare_reasons` compares.

`shapley` computes the values; `similarity` compares those of two models, `attribution_report` holds
the result and `plots` draws it.
"""
