"""Training: data and loop."""
