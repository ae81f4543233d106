"""Decisions: what scores are worth to a fraud desk, in metrics, costs and bands."""
