"""From a config to the things it describes, and back from a run's folder."""
