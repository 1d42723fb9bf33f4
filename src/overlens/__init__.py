"""Which images do these datasets share, how sure are we, and why; and benchmarks that do not leak."""

__version__ = "0.1.0"
