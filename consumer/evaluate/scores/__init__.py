"""The model's cosines for every post of a dataset, kept in a folder. Everything else reads them."""
