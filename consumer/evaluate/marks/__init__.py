"""What persons say of a sample: the sheet on which they mark, and how far they agree."""
