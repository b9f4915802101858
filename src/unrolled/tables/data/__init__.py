"""A table read: columns, target, splits and metrics."""
