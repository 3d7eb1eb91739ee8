"""Where images come from. Records and shards are read without JAX; sources.py puts them on the devices."""
