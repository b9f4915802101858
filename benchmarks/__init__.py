"""Benchmarks: each runs both sides in one process, checks that what it times is right, and prints ratios."""
