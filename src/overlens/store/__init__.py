"""What is kept of each image between runs, in shards that appear whole or not at all."""
