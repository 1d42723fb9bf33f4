"""Groups of copies and the overlap they make."""
