"""The documented command: `python compute_overlap.py [OPTIONS]` is `overlens compute [OPTIONS]`."""

import sys

from overlens.cli import main

main(["compute", *sys.argv[1:]])
