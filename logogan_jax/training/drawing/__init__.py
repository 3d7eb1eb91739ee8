"""Pictures for people: which ones, between which ones, and the files that show them."""
