"""The column report: what each column is worth."""
