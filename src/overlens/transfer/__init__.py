"""How far the classes of one dataset carry over to another, and how much of that is leakage."""
