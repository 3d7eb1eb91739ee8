"""One picture of any kind, to the square that the networks see."""
