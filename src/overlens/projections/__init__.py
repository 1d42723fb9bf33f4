"""Two-dimensional pictures of the embeddings."""
