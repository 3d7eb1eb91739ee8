"""Records in the files of a data set."""
