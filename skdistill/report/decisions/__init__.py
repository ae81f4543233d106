"""What teacher and student cost when they decide: `report` counts it, `card` holds it."""
