"""Look at a student: plots of how it was trained."""
