"""Does the student predict as its teacher does, and how good are both? `report` computes it.

`case` checks models and rows and asks the models; `closeness`, `scores` and `groups` turn the
predictions into statistics of the rows' weights, which `bootstrap` repeats on resamples; `segments`
looks for weak spots, `cost` measures, `verdict` judges, and `card` holds what came out, with
`notes` to its tables and a `gate` of conditions.
"""
