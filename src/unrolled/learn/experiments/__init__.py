"""Whole studies made of training runs: the ladder, the published lesson, the memory tasks."""
