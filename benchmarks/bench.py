"""How fast is overlens, how fast are others at the same job, and do they find the same?

Runs every comparison on this machine and writes RESULTS.md, results.png and growth.png beside this file. `make bench`
sets up what it needs first.

    python benchmarks/bench.py                  # all, in about a quarter of an hour on two quiet cores
    python benchmarks/bench.py --only cosine    # one; the others keep their figures
    python benchmarks/bench.py --full --only maps    # one at its large size
    python benchmarks/bench.py --quick --output FOLDER    # tiny sizes: does everything work?
"""

import argparse
import json
import sys
import time
from pathlib import Path

from speed.cases import CASES
from speed.growth import Growth, measure_growth
from speed.machine import describe_machine, own_versions
from speed.pictures import draw_growth, draw_results
from speed.race import run_case
from speed.records import CaseResult, Workshop
from speed.report import Record, write_report

HERE = Path(__file__).resolve().parent
GROWTH = "growth"


def main() -> None:
    """Measure what was asked for, and write everything that is known."""
    options = parse_options()
    scale = "quick" if options.quick else "full" if options.full else "usual"
    # Data is named by its size, so usual and large sizes share a folder, and rows of either keep their figures.
    folder = options.work.resolve() / ("quick" if options.quick else "usual")
    workshop = Workshop(folder, options.rivals.absolute(), scale)
    workshop.folder.mkdir(parents=True, exist_ok=True)
    store = workshop.folder / "results.json"
    for name in options.only or [*(case.name for case in CASES), GROWTH]:
        started = time.perf_counter()
        print(f"{name}:", file=sys.stderr, flush=True)
        measured = measure(name, workshop)
        # Read only now: another run may have kept its rows meanwhile.
        known = (json.loads(store.read_text()) if store.exists() else {}) | {name: measured}
        store.write_text(json.dumps(known))
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    write(known, options.output)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*(case.name for case in CASES), GROWTH]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round")
    parser.add_argument("--full", action="store_true", help="the large sizes")
    parser.add_argument("--rivals", type=Path, default=HERE.parent / ".venv-rivals", help="environments of the others")
    parser.add_argument("--work", type=Path, default=HERE.parent / "build" / "bench", help="data and answers")
    parser.add_argument("--output", type=Path, default=HERE, help="where the page and the pictures go")
    return parser.parse_args()


def measure(name: str, workshop: Workshop) -> object:
    """Run one case, or the growth curves, and return plain values."""
    if name == GROWTH:
        return [growth.to_json() for growth in measure_growth(workshop)]
    return run_case(next(case for case in CASES if case.name == name), workshop).to_json()


def write(known: dict[str, object], output: Path) -> None:
    """Write the page and the pictures."""
    growth = [Growth.from_json(one) for one in known.get(GROWTH, [])]
    results = {name: CaseResult.from_json(one) for name, one in known.items() if name != GROWTH}
    output.mkdir(parents=True, exist_ok=True)
    record = Record(describe_machine(), own_versions(), results, growth)
    (output / "RESULTS.md").write_text(write_report(record, CASES), encoding="utf-8")
    draw_results(CASES, results, output / "results.png")
    if growth:
        draw_growth(growth, output / "growth.png")


if __name__ == "__main__":
    main()
