"""Two sets of labels of the same posts, compared."""
