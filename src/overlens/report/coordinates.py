"""Coordinates of a projection as a CSV table, for whoever wants to draw their own picture."""

import csv
import io

from overlens.report.views import ProjectionView


def coordinates_csv(view: ProjectionView) -> str:
    """Return a table with the columns dataset, name, label, x, y; one line per image, in the order of the view.

    Names stay as they are; numbers are the shortest that read back as the same float32. Lines end in a line feed.
    """
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("dataset", "name", "label", "x", "y"))
    for dataset, name, label, (x, y) in zip(view.datasets, view.names, view.labels, view.coordinates, strict=True):
        writer.writerow((dataset, name, label, str(x), str(y)))
    return table.getvalue()
