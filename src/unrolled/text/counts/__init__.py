"""Counts: what followed which contexts of a text, and how often."""
