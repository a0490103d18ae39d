"""Dead letters that come back: look at them, and put them on the input topic again, each exactly once."""
