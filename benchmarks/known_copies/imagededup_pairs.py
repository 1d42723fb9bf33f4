"""Print the pairs that imagededup's PHash finds between two folders, as JSON; run by a Python that has imagededup."""

import json
import sys
from pathlib import Path

from imagededup.methods import PHash


def main() -> None:
    """Compare the folders named on the command line at imagededup's default distance."""
    hasher, hashes = PHash(verbose=False), {}
    for side, folder in enumerate(sys.argv[1:3]):
        for path in sorted(Path(folder).iterdir()):
            hashes[f"{side}/{path.name}"] = hasher.encode_image(image_file=str(path))
    found = hasher.find_duplicates(encoding_map=hashes)  # 10 bits unless told otherwise
    across = {(one[2:], two[2:]) for one, others in found.items() for two in others if one[0] == "0" and two[0] == "1"}
    print(json.dumps(sorted(across)))


if __name__ == "__main__":
    main()
