"""What the overlap means for labels and for published scores: the label bridge, conflicts, and adjusted scores."""

from collections.abc import Sequence

from overlens.adjusted_scores import PredictionScores
from overlens.analysis import Analysis
from overlens.atomic import write_json, write_text
from overlens.benchmark.asked import Asked
from overlens.bridge import LabelComparison, compare_labels
from overlens.decode import image_extensions
from overlens.layout import CrossLayout
from overlens.notices import tell
from overlens.predictions import score_predictions
from overlens.progress import Progress
from overlens.sources.predictions import Predictions, assign_predictions


def bridge_labels(analysis: Analysis, asked: Asked, progress: Progress) -> tuple[LabelComparison | None, list[str]]:
    """Compare the classes of verified copies, where generalization is asked for.

    Returns:
        The comparison, None where nothing was verified; and what the user should know.
    """
    copies, layout = analysis.copies, CrossLayout(analysis.output)
    if copies is None or not analysis.config.evaluate_cross_dataset:
        return None, []
    with progress.timed("Label bridge"):
        found = compare_labels(copies.groups, copies.judged.edges, list(analysis.datasets.values()), asked.class_map)
        write_json(layout.label_bridge("json"), found.to_json())
        write_text(layout.label_bridge("csv"), found.bridge_csv())
        found.write_conflicts(layout.label_conflicts)
    return found, tell("classes", found.notices)


def score_models(analysis: Analysis, asked: Asked, progress: Progress) -> tuple[PredictionScores | None, list[str]]:
    """Score the models whose predictions are given, with and without the images that other datasets hold.

    Raises:
        DatasetError: It cannot be told which images or classes a file means.
    """
    copies, layout = analysis.copies, CrossLayout(analysis.output)
    if copies is None or not asked.predictions:
        return None, []
    features = list(analysis.datasets.values())
    notices: list[str] = []
    assigned: list[Predictions] = []
    with progress.timed("Scores of models"):
        for table in asked.predictions:
            predictions, told = assign_predictions(table, features, image_extensions())
            assigned += predictions
            notices += _tell_assigned(predictions, told)
        scores = score_predictions(assigned, features, copies.groups)
        write_json(layout.prediction_scores("json"), scores.to_json())
        write_text(layout.prediction_scores("csv"), scores.to_csv())
    return scores, [*notices, *tell("predictions", scores.notices)]


def _tell_assigned(predictions: Sequence[Predictions], sentences: Sequence[str]) -> list[str]:
    """Say what became of the rows of a file; the sentences name it already."""
    told: list[str] = []
    for sentence in sentences:
        subjects = (f"predictions of {one.model} for {one.dataset}" for one in predictions)
        subject = next((one for one in subjects if sentence.startswith(f"{one}: ")), "predictions")
        told += tell(subject, [sentence.removeprefix(f"{subject}: ")])
    return told
