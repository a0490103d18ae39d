"""Posts in: what a post is, and how a dataset becomes records."""
