"""What to know about a text before training on it."""
