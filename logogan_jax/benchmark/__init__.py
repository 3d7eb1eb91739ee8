"""Measurements of how fast the train step is."""
