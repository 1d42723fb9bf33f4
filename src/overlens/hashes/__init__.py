"""Perceptual hashes of pixels, in all eight flips and rotations."""
