"""How fast is overlens, and how fast are others at the same job? `python benchmarks/bench.py --help`."""
