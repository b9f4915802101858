"""A corpus becomes ids, on NumPy alone."""
