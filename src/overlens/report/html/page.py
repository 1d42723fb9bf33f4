"""The report of a run as one page that opens from disk, offline, and the page that lists all files of results.

Templates escape every text; scripts and styles stand in the page, and a content security policy allows exactly these
scripts, by their digests, and no request at all. What the scripts need is data inside an element that nothing runs.
plotly.js (4.8 MB) stands in the page only where there is a map, as text that is run when the map comes into view: the
page opens without waiting for it. Only there the policy also allows what is evaluated from text, without which Plotly
draws nothing with WebGL. Equal records give equal bytes.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import unquote

from overlens.report.html.columns import page_columns, picture_address
from overlens.report.html.matrices import directions, matrices
from overlens.report.html.records import FileEntry, Report
from overlens.report.plotly_page import plotly_library, script_json
from overlens.report.style import clean_text, dataset_colour
from overlens.report.views import count_of, share_text

if TYPE_CHECKING:
    from jinja2 import Environment

STYLES = ("base.css", "parts.css", "pairs.css", "print.css")
EARLY_SCRIPT = "theme.js"
"""It stands in the head: the page must not flash in another theme."""
SCRIPTS = ("elements.js", "records.js", "matrix.js", "compare.js", "viewer.js", "gallery.js", "curve.js", "map.js")
"""In this order: each uses what stands before it."""
MAX_DIRECTIONS = 12


def render_report(report: Report) -> str:
    """Return the page of a report, complete in one file.

    Raises:
        ValueError: The counts of a containment do not fit the datasets, or a number is not finite.
    """
    scripts = [_static(name) for name in SCRIPTS]
    library = plotly_library() if report.maps else ""
    all_directions = directions(report)
    return (
        _environment(tuple(dataset.name for dataset in report.datasets))
        .get_template("report.html")
        .render(
            report=report,
            policy=content_policy([_static(EARLY_SCRIPT), *scripts], library=library),
            style="\n".join(map(_static, STYLES)),
            early_script=_static(EARLY_SCRIPT),
            scripts=scripts,
            library=library,
            data=script_json(page_columns(report)),
            matrices=matrices(report),
            directions=all_directions[:MAX_DIRECTIONS],
            n_more_directions=max(0, len(all_directions) - MAX_DIRECTIONS),
            colours=[dataset_colour(place) for place in range(len(report.datasets))],
            folders=file_folders(report.files),
        )
    )


def render_index(report: Report, *, page: str = "report.html") -> str:
    """Return the page that lists all files of results, folder by folder; `page` is the address of the report."""
    return (
        _environment(tuple(dataset.name for dataset in report.datasets))
        .get_template("index.html")
        .render(
            report=report,
            policy=content_policy([_static(EARLY_SCRIPT)]),
            style="\n".join(map(_static, STYLES)),
            early_script=_static(EARLY_SCRIPT),
            page=page,
            folders=file_folders(report.files),
        )
    )


def content_policy(scripts: Sequence[str], *, library: str = "") -> str:
    """Return the content security policy of a page that runs these scripts and no other, and asks for nothing.

    Styles may stand anywhere in the page: Plotly sets them, and what they could fetch is forbidden.

    Args:
        scripts: The texts of the script elements.
        library: plotly.js, or "" where it is not in the page; it makes its WebGL programs by evaluating text.
    """
    digests = [f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in (*scripts, library) if text]
    allowed = " ".join(digests + ["'unsafe-eval'"] * bool(library))
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "form-action 'none'; base-uri 'none'"
    )


def file_folders(entries: Sequence[FileEntry]) -> list[tuple[str, list[FileEntry]]]:
    """Return the files folder by folder, in the order in which the folders first appear; "" is the first level."""
    order: dict[str, int] = {}
    for entry in entries:
        order.setdefault(_folder(entry), len(order))
    ranked = sorted(entries, key=lambda entry: order[_folder(entry)])
    return [(folder, list(group)) for folder, group in groupby(ranked, key=_folder)]


def _folder(entry: FileEntry) -> str:
    return entry.path.rpartition("/")[0]


@cache
def _static(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def _environment(names: tuple[str, ...]) -> "Environment":
    """Return the templates; `names` are those of the datasets, which sentences may hold."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from overlens.report.html import wording

    environment = Environment(
        loader=PackageLoader("overlens.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "cell": wording.cell_text,
        "size": wording.size_text,
        "said": lambda text: wording.isolate(text, names),
        "clean": clean_text,
        "unquoted": unquote,
        "share": share_text,
        "anchor": lambda text: re.sub(r"[^A-Za-z0-9_-]+", "-", text),
    }
    environment.tests["numeric"] = wording.is_number
    environment.globals |= {"count_of": count_of, "picture": picture_address}
    return environment
