"""The board: pages that show what the stream is seeing now. It reads, commits nothing and joins no group."""
