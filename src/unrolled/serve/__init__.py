"""A trained model on a page of its own: an HTTP server for one person or a few, without PyTorch."""
