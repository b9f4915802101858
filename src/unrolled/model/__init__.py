"""Using a trained model, on NumPy alone."""
