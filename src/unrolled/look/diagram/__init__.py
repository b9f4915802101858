"""A network drawn: unrolled over a text, rolled up, and the inside of its cells."""
