"""A count and its words agree."""

import pytest

from overlens.counted import counted


@pytest.mark.parametrize(
    ("n", "words", "text"),
    [
        (0, ("image",), "0 images"),
        (1, ("image",), "1 image"),
        (2, ("image",), "2 images"),
        (1_234, ("image",), "1,234 images"),
        (1, ("image was", "images were"), "1 image was"),
        (21, ("image was", "images were"), "21 images were"),
    ],
    ids=lambda value: str(value),
)
def test_words_agree_with_their_number(n: int, words: tuple[str, ...], text: str):
    assert counted(n, *words) == text
