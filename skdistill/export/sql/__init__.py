"""Trees and additive students as SQL."""
