"""How good the images are: features of them, distances between sets of features."""
