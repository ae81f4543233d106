"""Choose the student: every candidate measured, the best within a budget."""
