"""What to know about a text before hours are spent on it."""
