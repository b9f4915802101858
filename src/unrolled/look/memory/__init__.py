"""How far back the predictions of a network depend on its text."""
