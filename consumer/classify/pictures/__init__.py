"""From a stranger's bytes to a picture, in processes that may die of it."""
