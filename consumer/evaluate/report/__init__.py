"""The report: one page of what the curves say."""
