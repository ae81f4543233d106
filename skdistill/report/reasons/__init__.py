"""Why do teacher and student predict as they do? `explain` tells, `report` compares.

`shapley` computes the values; `similarity` compares those of two models, `card` holds what came out
and `plots` draws it.
"""
