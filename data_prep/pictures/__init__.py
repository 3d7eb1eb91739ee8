"""One picture of any kind, to the square or rectangle that the networks see."""
