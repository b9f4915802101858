"""Seeing inside: what a network remembers, how it is built, what its vectors mean."""
