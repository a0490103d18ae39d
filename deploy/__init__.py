"""Running it: a local stack, and what a production needs."""
