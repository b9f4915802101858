"""EntityEncoder: a vector per category, learned from the target."""
