"""Figures without a network, beside which a network's are shown."""
