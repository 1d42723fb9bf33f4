"""Which copies does overlens find, which does it miss, and which of its pairs are none?

Runs overlens with its default settings and the offline encoder on sets of images whose copies are known, and prints for
each set the known pairs found and missed, every verified pair that is not listed, recall, precision, and whether what
is asked for was reached; exits 1 if it was not. The table and every judgement: docs/accuracy.md.

    python benchmarks/accuracy.py art
    python benchmarks/accuracy.py edits --imagededup OTHER_VENV/bin/python
    python benchmarks/accuracy.py all
"""

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image as Pillow

from known_copies import edited, sets
from known_copies.scoring import Case, Found, Pair, Score, print_score, print_times, run_case, score, write_signals
from known_copies.sheet import draw_sheet

SETS: dict[str, Callable[[Path], list[Case]]] = {
    "art": sets.art_cases,
    "cifar10_dups": sets.cifar_cases,
    "pdq_transforms": sets.pdq_cases,
    "exif_orientation": sets.exif_cases,
    "distinct": sets.distinct_cases,
    "mixed": sets.mixed_cases,
}
EDITS = {
    "edits": ("caltech101_mini", 500, edited.EDIT_NAMES),
    "edits_pacs": ("pacs_mini", 300, edited.EDIT_NAMES),
    "hard_edits": ("caltech101_mini", 300, tuple(edited.HARDER)),
    "hard_edits_pacs": ("pacs_mini", 300, tuple(edited.HARDER)),
}
"""Name -> pictures, how many, edits."""
SMALL = {"small_64": 64, "small_32": 32}


def main() -> int:
    """Run the sets that were asked for; returns the exit status."""
    options = parse_options()
    sys.stdout.reconfigure(line_buffering=True)  # in a file, too, one sees how far it is
    names = [*SETS, *EDITS, *SMALL, "upscaled"] if options.set == "all" else [options.set]
    with tempfile.TemporaryDirectory() as folder:
        output = options.output or Path(folder)
        # All must run, so no generator: all() would stop at the first that fails.
        is_met = [run_named(name, output / name, options) for name in names]
    return int(not all(is_met))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=[*SETS, *EDITS, *SMALL, "upscaled", "all"])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--output", type=Path, help="where results go; a temporary folder by default")
    parser.add_argument("--sheet", type=Path, help="PNG of the verified pairs that are not listed")
    parser.add_argument("--signals", type=Path, help="CSV to which the evidence of every candidate is appended")
    parser.add_argument("--imagededup", type=Path, metavar="PYTHON", help="a Python that has imagededup")
    return parser.parse_args()


def run_named(name: str, output: Path, options: argparse.Namespace) -> bool:
    """Run one set; returns whether everything asked for was reached."""
    if name in EDITS:
        return run_edits(name, output, options)
    if name in SMALL:
        cases = [make_small_case(options.data, output / "images", SMALL[name])]
    elif name == "upscaled":
        cases = [make_upscaled_case(options.data, output / "images")]
    else:
        cases = SETS[name](options.data)
    scores = [run_listed(case, output / str(place), options) for place, case in enumerate(cases)]
    return all(scored.is_met for listed in scores for scored in listed[1])


def run_listed(case: Case, output: Path, options: argparse.Namespace) -> tuple[Found, list[Score]]:
    """Run one set whose copies are listed, print how it went, and write what the options ask for."""
    found = run_case(case, output)
    scores = [score(known, found) for known in case.known]
    for scored in scores:
        print_score(case, found, scored)
        if options.signals is not None:
            write_signals(options.signals, case.name, found, scored.known)
    print_times(found)
    unlisted = sorted(frozenset().union(*(scored.unlisted for scored in scores)))
    if options.sheet is not None and unlisted:
        write_sheet(options.sheet, case, found, unlisted)
    return found, scores


def write_sheet(sheet: Path, case: Case, found: Found, pairs: Sequence[Pair]) -> None:
    """Write the pairs to look at to a file of their own for each set."""
    file = sheet.with_stem(f"{sheet.stem}-{case.name.replace(' ', '_')}")
    draw_sheet(file, pairs, found, case.locate)
    print(f"  {len(pairs)} pairs drawn in {file}")


def run_edits(name: str, output: Path, options: argparse.Namespace) -> bool:
    """Run every edit of a sample of pictures and print a line for each, beside those of other tools."""
    source, n_images, edits = EDITS[name]
    originals = output / "originals"
    names = edited.sample_originals(options.data / source, originals, n_images)
    totals: dict[str, edited.Tally] = {}
    for edit in edits:
        copies = edited.make_edited(originals, names, edit, output / f"edited-{edit.replace(' ', '_')}")
        case = copies.as_case(f"{name} {edit}")
        found, (scored,) = run_listed(case, output / "run", options)
        tallies = {
            "overlens": edited.tally_overlens(copies, scored, found),
            "ImageHash": edited.tally_imagehash(copies),
        }
        if options.imagededup is not None:
            tallies["imagededup"] = edited.tally_imagededup(copies, options.imagededup)
        for tool, tally in tallies.items():
            print(f"  {name} | {edit} | {tool} | found {tally.n_found} of {tally.n_asked} | wrong {tally.n_wrong}")
            totals[tool] = totals.get(tool, edited.Tally(0, 0, 0)) + tally
    for tool, tally in totals.items():
        print(f"  {name} | all | {tool} | recall {tally.recall:.4f} | precision {tally.precision:.4f}")
    return totals["overlens"].recall >= 0.95 and totals["overlens"].precision >= 0.99


def make_small_case(data: Path, folder: Path, side_px: int) -> Case:
    """Shrink distinct pictures, so that each shows little."""
    folders = {}
    for name in ("caltech101_mini", "pacs_mini"):
        folders[name] = folder / name
        for path in sets.find_images(data / name):
            with Pillow.open(path) as image:
                small = image.convert("RGB").resize(sets.fit_size(image.size, side_px), Pillow.Resampling.LANCZOS)
            target = folders[name] / path.relative_to(data / name)
            target.parent.mkdir(parents=True, exist_ok=True)
            small.save(target, "JPEG", quality=95)
    return sets.make_distinct_case(f"distinct pictures at {side_px} px", folders)


def make_upscaled_case(data: Path, folder: Path) -> Case:
    """Enlarge the CIFAR-10 test images to 128 px; each is a copy of its original."""
    source = data / "cifar10_dups" / "cifar_test"
    keys = []
    for path in sets.find_images(source):
        with Pillow.open(path) as image:
            large = image.convert("RGB").resize((128, 128), Pillow.Resampling.BICUBIC)
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        large.save(target, "JPEG", quality=95)
        keys.append(path.relative_to(source).as_posix())
    return sets.make_upscaled_case(data, keys, {"small": source, "large": folder})


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)
    sys.exit(main())
