"""Judge whether two images are one picture: lay them over one another, measure how they agree, name the rung."""
