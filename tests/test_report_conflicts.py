"""Pictures of conflicts: both classes can be read and told apart, whatever their names."""

import io

import numpy as np
import pytest
from PIL import Image

from overlens.report.benchmark_views import ConflictCard, ConflictView
from overlens.report.conflicts import UNEQUAL, draw_conflicts
from overlens.report.gallery import PAIR_WIDTH
from overlens.report.page import Page
from overlens.report.style import text_width
from overlens.report.views import ShownImage

LONG = "Saint Francis of Assisi receiving the stigmata on Mount La Verna in "


def card_of(left, right, verdict="edited", strength=0.7, pixels=True):
    picture = np.full((30, 40, 3), 90, np.uint8) if pixels else None
    return ConflictCard(ShownImage("a.jpg", left, picture), ShownImage("b.jpg", right, picture), verdict, strength)


def view_of(*cards, datasets=("ArtDL", "wikidata"), **changes):
    return ConflictView(datasets, cards, **{"n_conflicts": len(cards), "n_compared": 42} | changes)


@pytest.fixture
def texts(monkeypatch):
    """Draw a picture and return what it writes as (words, size, bold)."""

    def written(view):
        found, write = [], Page.text

        def watch(page, place, text, size, **options):
            found.append((text, size, options.get("bold", False)))
            write(page, place, text, size, **options)

        monkeypatch.setattr(Page, "text", watch)
        draw_conflicts(view)
        return found

    return written


@pytest.mark.parametrize(
    ("left", "right", "head"),
    [
        ("Saint Jerome", "Mary", "Saint Jerome ≠ Mary"),
        ("$x$", "<b>%s{0}</b>", r"\$x\$ ≠ <b>%s{0}</b>"),
        (r"a\$b", "受胎", "a\\\\$b ≠ □□"),
        ("", "b", "≠ b"),
    ],
    ids=["plain", "markup", "missing letters", "empty"],
)
def test_both_classes_stand_above_the_pair(left, right, head, texts):
    heads = [words for words, size, bold in texts(view_of(card_of(left, right))) if bold and size == 10]
    assert heads[1].strip() == head


@pytest.mark.parametrize(
    ("left", "right"),
    [(LONG + "1224", LONG + "1225"), ("a", LONG), (LONG, "b"), ("x" * 500, "y" * 500), (LONG * 9, "Saint Francis of")],
    ids=["alike", "short and long", "long and short", "endless", "one fits in half"],
)
def test_long_classes_stay_different_and_fit(left, right, texts):
    written = texts(view_of(card_of(left, right)))
    head = next(words for words, _, bold in written if bold and UNEQUAL in words)
    first, second = head.split(UNEQUAL)
    assert first != second and first and second
    assert text_width(head, 10, bold=True) <= PAIR_WIDTH - 0.32
    for shown, whole in ((first, left), (second, right)):
        assert shown == whole or "…" in shown
    assert sum(map(len, (first, second))) > 25 or head == f"{left}{UNEQUAL}{right}"


def test_evidence_and_what_was_compared_are_stated(texts):
    cards = (
        card_of("a", "b", "same picture", 0.98),
        card_of("c", "d", None, None),
        card_of("e", "f", "same bytes", None),
    )
    words = [text for text, _, _ in texts(view_of(*cards, n_conflicts=7))]
    assert {"same picture, strength 0.98", "copies by way of other images of their group", "same bytes"} <= set(words)
    assert "Copies with different classes between ArtDL and wikidata: the 3 surest of 7 pairs" in " ".join(words)
    assert "Compared: 42 pictures with a class in both datasets." in " ".join(words)
    assert {"ArtDL · a", "wikidata · b"} <= set(words)


def test_within_one_dataset_and_without_a_count(texts):
    words = " ".join(text for text, _, _ in texts(view_of(card_of("a", "b"), datasets=("x", "x"), n_compared=None)))
    assert "Copies with different classes within x: the only pair" in words
    assert "Compared" not in words


@pytest.mark.parametrize(("n_compared", "said"), [(42, "Compared: 42 pictures"), (None, "No copies")])
def test_no_conflict_is_a_picture_that_says_so(n_compared, said, texts):
    words = [text for text, _, _ in texts(view_of(n_compared=n_compared))]
    assert "No copies have different classes." in words
    assert any(text.startswith(said) for text in words)


def test_equal_views_give_equal_bytes_also_without_pixels():
    view = view_of(card_of("a", "b"), card_of("c", "d", pixels=False))
    first = draw_conflicts(view)
    assert first == draw_conflicts(view_of(card_of("a", "b"), card_of("c", "d", pixels=False)))
    assert first != draw_conflicts(view_of(card_of("a", "b"), card_of("c", "e", pixels=False)))
    assert Image.open(io.BytesIO(first)).size[0] == 1500
