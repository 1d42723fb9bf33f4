"""The version of the package, in a module of its own so that records of a run can state it without the package root."""

__version__ = "0.1.0"
