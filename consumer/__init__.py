"""Posts out: labels, counts and reports; one folder per role."""

__version__ = "0.1.0"
