"""Interventional Shapley values of one output of a model, against background rows.

`explained_output` computes what is explained and mixes rows; `walks` estimates values by walks from
background rows, evaluated by the model itself (`mixed_rows`) or by what a student's first step adds
up (`additive_start`); `pair_games` shares what pairs of columns add; `trees` computes those of sums
of trees exactly, once `read_trees` has read them; `methods` chooses.
"""
