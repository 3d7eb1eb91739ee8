"""Tuning: trials of a config, each of them an ordinary run of the training command."""
