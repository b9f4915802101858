"""Embeddings as pictures."""
