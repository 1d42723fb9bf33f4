"""Take names out of the files of the documented layout, and leave every other byte as it was.

Lines of `2_test.txt` and entries of a JSON file are cut out of the text and put together again, so that line endings,
indentation, the spelling of numbers and fields that overlens does not know stay. A name that is listed twice is one
image, and is left once.
"""

import codecs
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from overlens.sources.labels import read_labels_file
from overlens.sources.textfiles import read_text
from overlens.sources.tree import without_image_extension

_LINE = re.compile(r"([^\r\n]*)(\r\n|\n|\r|\Z)")
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class _Element:
    """One entry of a JSON list or object: where its text is, and whether it is an aligned class or has a name."""

    start: int
    end: int
    is_named: bool


def filter_names(path: Path, names: Collection[str]) -> bytes:
    """Return the file `2_test.txt` with its first line of each of `names` only."""
    text, waiting, kept = read_text(path), set(names), []
    for line in _LINE.finditer(text):
        name = line[1].strip(" \t")
        if name in waiting:
            waiting.remove(name)
            kept.append(line[0])
    joined = "".join(kept)
    if not text.endswith(("\n", "\r")):
        joined = joined.rstrip("\r\n")
    return _encode_like(path, joined)


def filter_labels(path: Path, listed: Sequence[str] | None, names: Sequence[str], extensions: frozenset[str]) -> bytes:
    """Return a file of labels without the entries of listed names that are not among `names`.

    An entry of a name that is not listed stays: it is of another set of images. So does an entry that a name of `names`
    may take its class from, as it differs from it by an image extension at most.

    Args:
        path: `labels.json` or `2_ground_truth.json`, in any of its forms.
        listed: Names as listed, repeated ones included; None if there is no list.
        names: Names that stay, in their order.
        extensions: Image extensions, lower case with dot.

    Raises:
        DatasetError: The file is malformed.
    """
    pairs, _ = read_labels_file(path, listed)
    text = read_text(path)
    elements = list(_read_elements(text))
    if elements and not elements[0].is_named:
        return _encode_like(path, _splice(text, elements, _align(pairs, names)))
    stems = {without_image_extension(name, extensions) for name in names}
    gone = {without_image_extension(name, extensions) for name in {*(listed or ())} - {*names}} - stems
    chosen = [place for place, (item, _) in enumerate(pairs) if without_image_extension(item, extensions) not in gone]
    return _encode_like(path, _splice(text, elements, chosen))


def _align(pairs: Sequence[tuple[str, str | None]], names: Sequence[str]) -> list[int]:
    """Return the place of the class of each of `names`: of several the first that says one, as in reading."""
    places: dict[str, int] = {}
    for place, (name, value) in enumerate(pairs):
        if name not in places or (pairs[places[name]][1] is None and value is not None):
            places[name] = place
    return [places[name] for name in names]


def _read_elements(text: str) -> Iterator[_Element]:
    """Yield the entries of a JSON list or object that is known to be well formed."""
    decoder = json.JSONDecoder()
    position = _skip(text, 0)
    is_object = text[position] == "{"
    position = _skip(text, position + 1)
    while text[position] not in "]}":
        start = position
        if is_object:
            _, position = decoder.raw_decode(text, position)
            position = _skip(text, _skip(text, position) + 1)  # the colon
        value, end = decoder.raw_decode(text, position)
        yield _Element(start, end, is_object or isinstance(value, dict))
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _splice(text: str, elements: Sequence[_Element], chosen: Sequence[int]) -> str:
    if not elements:
        return text
    separator = text[elements[0].end : elements[1].start] if len(elements) > 1 else ", "
    joined = separator.join(text[elements[place].start : elements[place].end] for place in chosen)
    return text[: elements[0].start] + joined + text[elements[-1].end :]


def _encode_like(path: Path, text: str) -> bytes:
    with path.open("rb") as file:
        mark = file.read(len(codecs.BOM_UTF8))
    return (codecs.BOM_UTF8 if mark == codecs.BOM_UTF8 else b"") + text.encode()
