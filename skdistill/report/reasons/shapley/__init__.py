"""Interventional Shapley values of one question to a model, against background rows.

`question` says what is explained and mixes rows; `walks` estimates values by walks from background
rows, evaluated by the model itself (`mixed_rows`) or by what a student's first step adds up
(`additive_start`); `trees` computes those of sums of trees exactly, once `read_trees` has read
them; `methods` chooses.
"""
