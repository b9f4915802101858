"""Agreement: which of several continuations a network expects, and how far back a cue decides it."""
