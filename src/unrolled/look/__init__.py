"""Inspecting a trained network: its memory, its units, its structure and its vectors, as numbers and pictures."""
