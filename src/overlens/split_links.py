"""Class folders of links to the images of a split, with names that are readable and safe wherever they come from.

Class ids and file names come from outside: they may hold slashes, be `..`, be too long for a file system, or differ in
case alone. A name is cut down to what every file system holds, and what would then be one name is told apart by a
digest; so no link lies outside its folder, and no two images or classes share a name. Names follow from the whole
dataset, so a class has the same folder in every split.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from os.path import relpath
from pathlib import Path

from overlens.atomic import replaced_folder
from overlens.errors import StoreError
from overlens.fewshot.splits import Part, Split
from overlens.layout import AnalysisLayout, LinksLayout
from overlens.records import Features
from overlens.tables import write_csv

_MOST_BYTES = 100
_UNSAFE = re.compile(r'[/\\:*?"<>|]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_TOLD_APART = re.compile(r"~[0-9a-f]{8,}(\.[A-Za-z0-9]{1,5})?$")


@dataclass(frozen=True, slots=True)
class LinkFolders:
    """What the folders and links of one dataset are called.

    Attributes:
        class_names: Class id -> name to show.
        folders: Class id -> name of its folder.
        files: Name of the link to the image in each row of the features.
        targets: The image in each row, its folder resolved.
    """

    class_names: Mapping[str, str]
    folders: Mapping[str, str]
    files: tuple[str, ...]
    targets: tuple[Path, ...]

    @classmethod
    def of(cls, features: Features, paths: tuple[Path, ...]) -> "LinkFolders":
        """Name the folders and links of all images of a dataset.

        Args:
            features: The images.
            paths: The file of each row.
        """
        rows_of: dict[str, dict[str, int]] = {}
        for row, (key, label) in enumerate(zip(features.keys, features.labels, strict=True)):
            if label is not None:
                rows_of.setdefault(label, {})[key] = row
        files = [""] * len(paths)
        for rows in rows_of.values():
            for key, name in safe_names({key: paths[row].name for key, row in rows.items()}).items():
                files[rows[key]] = name
        homes = {parent: parent.resolve() for parent in {path.parent for path in paths}}
        return cls(
            features.class_names,
            safe_names({class_id: class_id for class_id in sorted(rows_of)}),
            tuple(files),
            tuple(homes[path.parent] / path.name for path in paths),
        )

    def write(self, split: Split, layout: AnalysisLayout) -> Path:
        """Make the folders of one split: `{part}/{class}/{file}`, and a table of the classes.

        A part has a folder for every class of the split, also where it has no image of it: numbers that loaders give to
        class folders then mean the same in every part. A part without any image has no folder.

        Raises:
            StoreError: The system refuses links, or to write.
        """
        place = LinksLayout(layout.split_links(*split.place))
        place.folder.parent.mkdir(parents=True, exist_ok=True)
        home = LinksLayout(place.folder.parent.resolve() / place.folder.name)
        classes = sorted(set(split.labels))
        with replaced_folder(place.folder, place.earlier) as folder:
            made = LinksLayout(folder)
            for name, part in split.parts.items():
                if len(part):
                    for class_id in classes:
                        made.of_class(name, self.folders[class_id]).mkdir(parents=True)
                    self._link(name, part, made, home)
            rows = ((self.folders[one], one, self.class_names.get(one, one)) for one in classes)
            write_csv(made.classes, ("folder", "label", "class_name"), rows, exact=True)
        return place.folder

    def _link(self, name: str, part: Part, made: LinksLayout, home: LinksLayout) -> None:
        """Make the links of one part in the folders that were `made`, which will be at `home`."""
        for row, label in zip(part.rows.tolist(), part.labels, strict=True):
            inner, file = self.folders[label], self.files[row]
            try:
                target = _target(self.targets[row], home.of_class(name, inner))
                (made.of_class(name, inner) / file).symlink_to(target)
            except (OSError, NotImplementedError) as error:
                reason = getattr(error, "strerror", None) or error
                raise StoreError(
                    f"cannot make a link to an image below {home.folder / name}: {reason}; links need a file system "
                    "and rights that allow them; leave out --split-formats links, or write elsewhere with --output PATH"
                ) from error


def safe_names(bases: Mapping[str, str]) -> dict[str, str]:
    """Return a name for a file or folder for each thing: readable, fit for every file system, no two alike in any case.

    A name that had to be changed, or that several things would have, ends in `~` and a digest of the thing.

    Args:
        bases: Thing -> the name that it should have; both may be any text.
    """
    safe = {thing: _fit(base) for thing, base in bases.items()}
    count = Counter(map(_folded, safe.values()))
    names = dict(safe)
    for n_digits in (8, 64):
        for thing, name in safe.items():
            is_plain = name == bases[thing] and count[_folded(name)] == 1 and not _TOLD_APART.search(name)
            names[thing] = name if is_plain else _told_apart(name, thing, n_digits)
        if len(set(map(_folded, names.values()))) == len(names):
            break
    return names


def _fit(text: str) -> str:
    """Return a text as a name that every file system holds; an ending such as `.jpg` is kept."""
    plain = unicodedata.normalize("NFC", text)
    plain = _UNSAFE.sub("_", "".join(one if one.isprintable() else "_" for one in plain)).strip(" .")
    stem, ending = _split_ending(plain)
    stem = stem.encode()[:_MOST_BYTES].decode(errors="ignore").rstrip(" .")
    return f"_{stem}{ending}" if not stem or _RESERVED.fullmatch(plain) else stem + ending


def _told_apart(name: str, thing: str, n_digits: int) -> str:
    stem, ending = _split_ending(name)
    return f"{stem}~{sha256(thing.encode(errors='surrogatepass')).hexdigest()[:n_digits]}{ending}"


def _split_ending(name: str) -> tuple[str, str]:
    found = _ENDING.search(name)
    return (name[: found.start()], found[0]) if found else (name, "")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _target(image: Path, folder: Path) -> str:
    """Return where a link in `folder` must point: relative, unless that leads nowhere, as to another drive."""
    try:
        return relpath(image, folder)
    except ValueError:
        return str(image)
