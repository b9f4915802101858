"""Which continuation a network expects, and what it depends on."""
