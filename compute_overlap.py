"""The documented command: `python compute_overlap.py [OPTIONS]` is `overlens compute [OPTIONS]`."""

import sys

try:
    from overlens.cli import main
except ModuleNotFoundError as error:
    sys.exit(f"{error}. Set overlens up with `make demo`, then `source .venv/bin/activate`; or `pip install .`")

main(["compute", *sys.argv[1:]])
