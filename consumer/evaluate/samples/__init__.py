"""Which posts are marked: samples drawn from scores."""
