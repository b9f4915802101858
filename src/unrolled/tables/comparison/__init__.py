"""Every encoding under many models, on the same folds."""
