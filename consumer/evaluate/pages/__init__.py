"""What every page and figure has in common."""
