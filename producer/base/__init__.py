"""What every command stands on: errors, settings, logs, connections. Knows nothing of posts."""
