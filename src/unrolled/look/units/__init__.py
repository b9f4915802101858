"""Hidden units and hidden states over a text: recorded, tested, ablated and drawn."""
