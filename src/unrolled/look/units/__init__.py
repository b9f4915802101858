"""Hidden units and hidden states over a text."""
