"""Sets of images whose copies are known, and how well the verified pairs of overlens answer them."""
