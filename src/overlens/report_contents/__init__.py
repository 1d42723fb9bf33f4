"""What the report of a finished run shows, gathered from its results."""
