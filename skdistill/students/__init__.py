"""The compact models that learn from a teacher, and the encoding of raw columns they share."""
