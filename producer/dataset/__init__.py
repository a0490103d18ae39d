"""A dataset on disk as a stream of posts."""
