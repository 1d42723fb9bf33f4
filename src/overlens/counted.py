"""Counts in words that agree with them: "1 image", "1,234 images"."""


def counted(n: int, one: str, many: str = "") -> str:
    """Return a number and what is counted.

    Args:
        n: The number.
        one: The words behind a 1, such as "image was".
        many: The words behind any other number, such as "images were"; by default `one` and an s.
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
