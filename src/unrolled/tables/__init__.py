"""Categories of tables become vectors."""
