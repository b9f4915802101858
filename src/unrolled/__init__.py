"""unrolled: small recurrent networks on your own text, opened up; categories of tables as learned vectors."""

__version__ = "0.1.0"
