"""Copies whose classes do not match, side by side: which class there, which class here, and both pictures.

Drawn as a gallery, so that a person judges labels with the same eye as copies. The classes stand above each pair, where
each has half of the room at least.
"""

from overlens.report.benchmark_views import ConflictCard, ConflictView
from overlens.report.gallery import PAIR_WIDTH, draw_gallery
from overlens.report.names import distinct_names, keep_distinct
from overlens.report.style import drawable, shorten_middle, text_width, undisguised
from overlens.report.views import GalleryText, PairCard, count_of

UNEQUAL = " ≠ "
ROOM = PAIR_WIDTH - 0.45  # beside the rank, which a gallery writes in front
SIZE = 10.0


def draw_conflicts(view: ConflictView) -> bytes:
    """Draw the given conflicts.

    Returns:
        PNG bytes; equal views give equal bytes.
    """
    cards = [PairCard(card.left, card.right, _classes(card), _verdict(card)) for card in view.cards]
    return draw_gallery(cards, _text(view))


def _text(view: ConflictView) -> GalleryText:
    compared = ""
    if view.n_compared is not None:
        where = "in both datasets" if view.datasets[0] != view.datasets[1] else "on two images or more"
        compared = f"Compared: {count_of(view.n_compared, 'picture')} with a class {where}. "
    how = "Each pair is one picture by the evidence in grey; its two images have the classes above, left and right."
    return GalleryText(
        view.datasets,
        view.n_conflicts,
        what="Copies with different classes",
        order="surest",
        about=(compared + how,) if view.cards else ((compared.strip(),) if compared else ()),
        none="No copies have different classes.",
    )


def _classes(card: ConflictCard) -> str:
    """Return both classes as they fit above a pair; they stay different where both are cut."""
    names = (card.left.label, card.right.label)
    room = ROOM - text_width(UNEQUAL, SIZE, bold=True)
    widths = [text_width(drawable(name), SIZE, bold=True) for name in names]
    if sum(widths) <= room:
        return UNEQUAL.join(names)
    half = room / 2
    if min(widths) < half:  # the other one may have what is left
        short = widths.index(min(widths))
        rest = room - widths[short]

        def cut(name: str, head_share: float, ending: str) -> str:
            width = widths[short] if name == names[short] else rest
            return shorten_middle(name, width, (SIZE, True), head_share=head_share, ending=ending)

        return UNEQUAL.join(map(undisguised, keep_distinct(names, cut)))
    return UNEQUAL.join(map(undisguised, distinct_names(names, half, SIZE, bold=True)))


def _verdict(card: ConflictCard) -> str:
    if card.verdict is None:
        return "copies by way of other images of their group"
    return card.verdict if card.strength is None else f"{card.verdict}, strength {card.strength:.2f}"
