"""Which pairs of images are worth a close look."""
