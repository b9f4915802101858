"""Memory: how many characters back the predictions of a network depend on its text."""
