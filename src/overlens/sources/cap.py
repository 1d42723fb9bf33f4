"""Keep the first listed images of a dataset, and say so: `--max-images`.

The cap counts names as listed, before any is looked up: what is missing among the first N is one of the N, and a run
with a larger N only adds to it. The cost: a second name of a file already named takes one of the N places.
"""

from collections.abc import Iterator


def notice_cap(max_images: int | None, n_listed: int) -> Iterator[str]:
    """Yield the sentence that says how many listed images are used, if that is not all of them."""
    if max_images is not None and n_listed > max_images:
        yield f"--max-images: the first {max_images} of {n_listed} images are used"
