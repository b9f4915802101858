"""Diagrams of a network: unrolled over a text, rolled up, and the inside of its cell, as SVG, PNG or terminal text."""
