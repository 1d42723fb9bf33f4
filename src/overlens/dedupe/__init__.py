"""Remove copies: which images go, what remains, and whether anything is left."""
