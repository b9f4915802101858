"""Baselines without a network, to compare a network's figures with."""
