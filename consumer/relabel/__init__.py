"""Labels made again of vectors: the worker of `label`, with another labeler and no model."""
