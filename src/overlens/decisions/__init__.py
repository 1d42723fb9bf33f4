"""What people said of pairs of images: a log that loses nothing, and the same as a table."""
