"""Coordinates of a projection as a CSV table, for whoever wants to draw their own picture."""

from overlens.report.views import ProjectionView
from overlens.tables import csv_text


def coordinates_csv(view: ProjectionView) -> str:
    """Return a table with the columns dataset, name, label, x, y; one line per image, in the order of the view.

    Names are those of `overlens.tables.plain_text`; numbers are the shortest that read back as the same float32.
    """
    columns = zip(view.datasets, view.names, view.labels, view.coordinates, strict=True)
    rows = ((dataset, name, label, str(x), str(y)) for dataset, name, label, (x, y) in columns)
    return csv_text(("dataset", "name", "label", "x", "y"), rows)
