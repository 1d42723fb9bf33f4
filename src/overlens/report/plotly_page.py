"""A projection as a page that one can zoom, hover and filter, in one file that asks nothing of any network.

plotly.js stands in the page (4.8 MB: the price of working offline for ever), and a content security policy forbids
every request, so that even a name that smuggled markup through could fetch nothing. Names are data: escaped once for
Plotly, which reads a small HTML of its own in hover texts and legends, and the whole figure once more as JSON inside a
script element. The figure is plain JSON written here, so plotly's Python objects, slow to import, are not needed.

Shapes: n images.
"""

import html
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from overlens.report.colouring import ColourGroup, colour_groups, dataset_marker, split_count
from overlens.report.names import cut_characters, keep_distinct
from overlens.report.style import FAINT, MUTED, PLOTLY_MARKERS, REST, clean_text
from overlens.report.views import ProjectionView

WEBGL_FROM_IMAGES = 5_000  # up to here SVG is fluid, sharper, and works where WebGL is switched off
MAX_LEGEND_LABELS = 100
HOVER_LINE = 60
MAX_LEGEND_CHARACTERS = 36

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; \
style-src 'unsafe-inline'; img-src data: blob:; form-action 'none'; base-uri 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
html, body {{ height: 100%; margin: 0; }}
body {{ display: flex; flex-direction: column; color: #1a1a1a; }}
body {{ font-family: "DejaVu Sans", Verdana, Arial, sans-serif; }}
header {{ padding: 18px 24px 0; }}
h1 {{ font-size: 19px; margin: 0 0 6px; overflow-wrap: anywhere; }}
p {{ font-size: 13px; color: #5c6066; margin: 0 0 4px; overflow-wrap: anywhere; }}
#projection {{ flex: 1; min-height: 420px; margin: 0 16px 12px; }}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
{lines}
</header>
<div id="projection"></div>
<script>{library}</script>
<script id="figure" type="application/json">{figure}</script>
<script>
const figure = JSON.parse(document.getElementById("figure").textContent);
Plotly.newPlot("projection", figure.data, figure.layout, figure.config);
</script>
</body>
</html>
"""


def projection_page(view: ProjectionView, *, coloured_by: str) -> str:
    """Return a complete HTML page with the images as points, coloured by "dataset" or by "label".

    Hovering shows name, label and dataset; a click on the legend hides or shows a group, a double click isolates it. Up
    to 100 labels each have a legend entry of their own, those without a colour in grey. Equal views give equal pages.
    """
    groups = colour_groups(view, coloured_by, join_rest=len(set(view.labels)) > MAX_LEGEND_LABELS)
    traces = [_trace(view, group, str(place)) for place, group in enumerate(groups)]
    for trace, name in zip(traces, _legend_texts([group.text for group in groups]), strict=True):
        trace["name"] = name
    if coloured_by == "label" and len(view.dataset_names) > 1:
        # Points of several shapes have no legend entry of their own: Plotly would show the first point's shape there.
        entries = [_legend_entry(trace["name"], trace["marker"]["color"], "circle") for trace in traces]
        for trace, entry in zip(traces, entries, strict=True):
            trace["showlegend"] = False
            entry["legendgroup"] = trace["legendgroup"]
        traces += entries + _shape_entries(view)
    hint = "Hover a point for its name. Click a legend entry to hide it, double-click to see it alone."
    lines = (
        view.subtitle(),
        *(f"Adjusted: {note}." for note in view.notes),
        f"{hint} The axes have no unit: close together means alike to the encoder.",
    )
    figure = {"data": _draw_order(traces), "layout": _layout(coloured_by), "config": _CONFIG}
    return _PAGE.format(
        title=_escape(view.title(coloured_by, drawn=False)),
        lines="\n".join(f"<p>{_escape(line)}</p>" for line in lines),
        library=plotly_library(),
        figure=script_json(figure),
    )


_CONFIG = {
    "displaylogo": False,  # it links to a web site
    "showSendToCloud": False,  # it offers to upload the figure
    "plotlyServerURL": "",
    "responsive": True,
    "scrollZoom": True,
    # Named one by one, so that a later plotly.js cannot add a button that talks to a network.
    "modeBarButtons": [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
}


def _trace(view: ProjectionView, group: ColourGroup, legend_group: str) -> dict[str, Any]:
    points = np.round(view.coordinates[group.rows].astype(float), 4)
    markers = [PLOTLY_MARKERS[dataset_marker(view, view.datasets[row])] for row in group.rows]
    return {
        "type": "scattergl" if len(view.names) > WEBGL_FROM_IMAGES else "scatter",
        "mode": "markers",
        "legendgroup": legend_group,
        "x": points[:, 0].tolist(),
        "y": points[:, 1].tolist(),
        "text": [_hover_text(view, int(row)) for row in group.rows],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "color": group.colour,
            "symbol": markers if len(set(markers)) > 1 else markers[0],
            "size": 4 if len(view.names) > WEBGL_FROM_IMAGES else 6 if len(view.names) > 500 else 9,
            "opacity": 0.75,
        },
    }


def _hover_text(view: ProjectionView, row: int) -> str:
    parts = (("", view.names[row]), ("label: ", view.labels[row]), ("dataset: ", view.datasets[row]))
    return "<br>".join(_escape_lines(before + text) for before, text in parts)


def _escape_lines(text: str) -> str:
    """Escape `text` for Plotly, broken into lines that fit a screen; nothing is left out."""
    plain = clean_text(text)
    return "<br>".join(_escape(plain[start : start + HOVER_LINE]) for start in range(0, len(plain), HOVER_LINE))


def _legend_entry(name: str, colour: str, symbol: str) -> dict[str, Any]:
    """An entry of the legend without points; `name` is escaped already."""
    marker = {"color": colour, "symbol": symbol, "size": 8}
    entry = {"type": "scatter", "mode": "markers", "name": name, "x": [None], "y": [None], "marker": marker}
    return entry | {"hoverinfo": "skip"}


def _shape_entries(view: ProjectionView) -> list[dict[str, Any]]:
    symbols = [PLOTLY_MARKERS[dataset_marker(view, name)] for name in view.dataset_names]
    names = _legend_texts(view.dataset_names)
    return [
        _legend_entry(name, MUTED, symbol) | {"legend": "legend2"} for name, symbol in zip(names, symbols, strict=True)
    ]


def _draw_order(traces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Draw grey first and small groups last, and keep the legend in the order of the groups."""
    for rank, trace in enumerate(traces):
        trace["legendrank"] = rank + 1
    return sorted(traces, key=lambda trace: (trace["marker"]["color"] not in (REST, FAINT), -len(trace["x"])))


_AXIS = {
    "showgrid": False,
    "zeroline": False,
    "showticklabels": False,
    "showline": True,
    "mirror": True,
    "linecolor": FAINT,
}
_LEGEND: dict[str, Any] = {"itemsizing": "constant", "x": 1.01, "y": 1, "tracegroupgap": 0}
_SHAPES = {
    "title": {"text": "<b>Dataset</b>"},
    "x": 0.01,
    "y": 0.01,
    "yanchor": "bottom",
    "orientation": "h",
    "itemclick": False,
    "itemdoubleclick": False,
    "xref": "container",
    "yref": "container",
}
_LAYOUT: dict[str, Any] = {
    "xaxis": _AXIS,
    "yaxis": {**_AXIS, "scaleanchor": "x"},
    "legend2": _SHAPES,
    "showlegend": True,
    "autosize": True,
    "hovermode": "closest",
    "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"color": "#1a1a1a"}},
    "dragmode": "pan",
    "font": {"family": '"DejaVu Sans", Verdana, Arial, sans-serif', "size": 13},
    "margin": {"l": 8, "r": 8, "t": 36, "b": 44},
    "plot_bgcolor": "white",
}


def _layout(coloured_by: str) -> dict[str, Any]:
    return _LAYOUT | {"legend": _LEGEND | {"title": {"text": f"<b>{coloured_by.capitalize()}</b>"}}}


def _legend_texts(texts: Sequence[str]) -> list[str]:
    """Escape the texts of a legend, shortened but for their counts: long ones would push the plot off the page."""
    parts = [split_count(text) for text in texts]
    names = keep_distinct(
        [words for words, _ in parts],
        lambda name, head_share, ending: cut_characters(name, MAX_LEGEND_CHARACTERS, head_share, ending),
    )
    return [_escape(name + count) for name, (_, count) in zip(names, parts, strict=True)]


def _escape(text: str) -> str:
    # Plotly would show &quot; as it stands; no text here becomes an attribute, where quotes would need escaping.
    return html.escape(clean_text(text), quote=False)


def script_json(value: object) -> str:
    """Return JSON that cannot end the script element it stands in: every "<", ">" and "&" is a JSON escape."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def plotly_library() -> str:
    """Return plotly.js as its package carries it; it does not hold the end tag of a script."""
    return files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
