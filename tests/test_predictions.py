"""Scores with and without leaked images: counts add up, intervals hold what is known, order makes no difference."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlens.adjusted_scores import ANY, SCORE_COLUMNS, Interval
from overlens.edges import Edges
from overlens.errors import ConfigError
from overlens.groups.find import KeepRule, find_groups
from overlens.predictions import score_predictions
from overlens.records import Features
from overlens.roster import Roster
from overlens.sources.predictions import Predictions
from overlens.verdicts import SAME_PICTURE, SAME_SCENE


def group(sizes, pairs, verdict=SAME_PICTURE):
    """Groups of datasets a, b, ... of these sizes from pairs of global rows."""
    left, right = (np.array([pair[side] for pair in pairs], np.int32) for side in (0, 1))
    edges = Edges(left, right, np.full(len(left), verdict, np.uint8), np.ones(len(left), np.float32))
    names = tuple("abcdef"[: len(sizes)])
    return find_groups(Roster(names, tuple(sizes)), edges, KeepRule("first"))


def dataset(name, labels):
    return Features(name, tuple(f"{name}{row:04}" for row in range(len(labels))), tuple(labels))


def predict(predicted, *, model="m", name="a", scores=None):
    n = sum(one is not None for one in predicted)
    return Predictions(model, name, tuple(predicted), tuple(scores or [None] * len(predicted)), n, 0, 0)


def leaking(n_leaked, n_clean, sizes_b=None):
    """Dataset a of which the first images have one copy each in b."""
    n = n_leaked + n_clean
    groups = group([n, n_leaked + 1], [(row, n + row) for row in range(n_leaked)])
    return groups, [dataset("a", ["x"] * n), dataset("b", ["x"] * (n_leaked + 1))]


def test_right_on_leaked_and_half_right_on_clean():
    groups, features = leaking(100, 100)
    found = score_predictions([predict(["x"] * 100 + ["x", "y"] * 50)], features, groups)
    towards_b, towards_any = found.scores
    assert (towards_b.other, towards_any.other) == ("b", ANY)
    assert (towards_b.on_all.accuracy, towards_b.on_leaked.accuracy, towards_b.adjusted) == (0.75, 1.0, 0.5)
    assert (towards_b.on_all.n, towards_b.n_leaked, towards_b.n_clean, towards_b.n_groups) == (200, 100, 100, 200)
    assert towards_any.difference == towards_b.difference
    difference = towards_b.difference
    assert difference.value == 0.25
    assert difference.n_resamples == 2000
    # Delta method: accuracy on all less that on clean is p (1 - q), p the leaked share and q the clean accuracy.
    deviation = (0.5**2 * 0.5**2 / 200 + 0.5**2 * 0.5**2 / 100) ** 0.5
    assert difference.low == pytest.approx(0.25 - 1.96 * deviation, abs=0.01)
    assert difference.high == pytest.approx(0.25 + 1.96 * deviation, abs=0.01)


def test_without_a_gain_the_interval_holds_zero():
    groups, features = leaking(100, 100)
    (found, _) = score_predictions([predict(["x", "y"] * 100)], features, groups).scores
    assert found.difference.value == 0
    assert found.difference.low < 0 < found.difference.high


def test_copies_are_drawn_together():
    # Ten times the images, but copies of one another: the interval may not shrink.
    n, times = 30, 10
    pairs = [(row, n * times + row % n) for row in range(n * times // 2)]
    pairs += [(row, row + n) for row in range(n * times - n)]
    right = ["x", "y", "x"] * (n // 3)
    groups = group([n * times, n], [pair for pair in pairs if pair[0] % n < n // 2 or pair[1] < n * times])
    several = score_predictions(
        [predict(right * times)], [dataset("a", ["x"] * n * times), dataset("b", ["x"] * n)], groups
    )
    single = score_predictions(
        [predict(right)],
        [dataset("a", ["x"] * n), dataset("b", ["x"] * n)],
        group([n, n], [(row, n + row) for row in range(n // 2)]),
    )
    assert several.scores[0].n_groups == single.scores[0].n_groups == n
    assert several.scores[0].difference == single.scores[0].difference


def test_nothing_leaked_is_zero_removed_and_said():
    groups, features = group([4, 2], []), [dataset("a", "xxyy"), dataset("b", "xy")]
    found = score_predictions([predict(["x", "y", "y", "y"])], features, groups)
    one = found.scores[0]
    assert (one.on_leaked, one.n_leaked, one.on_clean) == (None, 0, one.on_all)
    assert one.difference == one.balanced_difference == Interval(0.0, 0.0, 0.0, 2000)
    assert found.notices == ("m on a: none of 4 scored images is held by b, so 0 were removed and nothing changes",)


def test_everything_leaked_leaves_no_clean_score():
    groups, features = leaking(3, 0)
    found = score_predictions([predict("xxy"), predict("xyy", model="n")], features, groups)
    one = found.scores[0]
    assert (one.on_clean, one.adjusted, one.difference, one.balanced_difference) == (None, None, None, None)
    assert one.on_leaked == one.on_all
    assert found.rankings[0].changes is None
    assert [each.rank_clean for each in found.rankings[0].models] == [None, None]
    assert "m on a: all of 3 scored images are held by b, so there is no clean score" in found.notices


def test_a_pair_that_is_not_verified_leaks_nothing():
    groups = group([2, 1], [(0, 2)], SAME_SCENE)
    one = score_predictions([predict("xy")], [dataset("a", "xx"), dataset("b", "x")], groups).scores[0]
    assert one.n_leaked == 0


def test_others_are_told_apart_and_any_is_their_union():
    groups = group([4, 2, 2], [(0, 4), (1, 6), (0, 5)])
    features = [dataset("a", "xxxx"), dataset("b", "xx"), dataset("c", "xx")]
    found = score_predictions([predict("xxyy")], features, groups)
    assert {one.other: (one.n_leaked, one.n_clean) for one in found.scores} == {"b": (1, 3), "c": (1, 3), ANY: (2, 2)}
    assert found.scores[-1].adjusted == 0


def test_balanced_accuracy_counts_each_class_the_same_and_scores_are_averaged():
    groups, features = group([5, 1], [(0, 5)]), [dataset("a", "xxxxy"), dataset("b", "x")]
    one = score_predictions([predict("xxyyy", scores=[1.0, 0.5, None, -3.0, 2.0])], features, groups).scores[0]
    assert (one.on_all.accuracy, one.on_all.balanced_accuracy, one.on_all.n_classes) == (0.6, 0.75, 2)
    assert (one.on_clean.balanced_accuracy, one.on_clean.n_classes) == (pytest.approx((1 / 3 + 1) / 2), 2)
    assert (one.on_leaked.mean_score, one.on_leaked.n_with_score) == (1.0, 1)
    assert (one.on_clean.mean_score, one.on_clean.n_with_score) == (pytest.approx(-0.5 / 3), 3)
    assert one.balanced_difference.value == pytest.approx(0.75 - 2 / 3)


def test_classes_without_a_clean_image_are_told():
    groups, features = group([3, 1], [(0, 3)]), [dataset("a", "xyy"), dataset("b", "x")]
    found = score_predictions([predict("xyx")], features, groups)
    assert found.notices == (
        "m on a: 1 of 2 classes have images that b does not hold; "
        "class-balanced accuracies on all and clean are means of other classes",
    )


def test_images_without_a_class_or_a_prediction_are_left_out():
    groups, features = group([4, 1], []), [dataset("a", ["x", None, "x", "y"]), dataset("b", "x")]
    one = score_predictions([predict(["x", "x", None, "x"])], features, groups).scores[0]
    assert (one.on_all.n, one.on_all.n_right) == (2, 1)
    none = score_predictions([predict([None, "x", None, None])], features, groups)
    assert (none.scores, none.rankings) == ((), ())


def test_the_ranking_is_of_images_that_all_predicted_and_swaps_have_an_interval():
    groups, features = leaking(10, 10)
    memory = predict(["x"] * 10 + ["y"] * 9 + [None], model="memory")
    honest = predict(["x"] * 5 + ["y"] * 5 + ["x"] * 4 + ["y"] * 5 + ["x"], model="honest")
    twin = predict(["x"] * 5 + ["y"] * 5 + ["x"] * 4 + ["y"] * 6, model="twin")
    found = score_predictions([honest, memory, twin], features, groups)
    ranking = found.rankings[0]
    assert (ranking.other, ranking.n, ranking.n_clean, ranking.changes) == ("b", 19, 9, True)
    assert [(one.model, one.n_right, one.rank, one.n_right_clean, one.rank_clean) for one in ranking.models] == [
        ("memory", 10, 1, 0, 3),
        ("honest", 9, 2, 4, 1),
        ("twin", 9, 2, 4, 1),
    ]
    assert [(one.ahead, one.behind, one.difference) for one in ranking.swaps] == [
        ("memory", "honest", pytest.approx(1 / 19)),
        ("memory", "twin", pytest.approx(1 / 19)),
    ]
    interval = ranking.swaps[0].clean_difference
    assert interval.value == pytest.approx(-4 / 9)
    assert interval.low < interval.value < interval.high <= 0
    assert "a: 2 pairs of models change their order on the 9 images that no other dataset holds" in found.notices


def test_models_that_keep_their_order_change_nothing():
    groups, features = leaking(2, 4)
    found = score_predictions([predict("xxxxyy"), predict("xyxyyy", model="n")], features, groups)
    assert (found.rankings[0].changes, found.rankings[0].swaps) == (False, ())


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_counts_add_up_and_order_makes_no_difference(data):
    sizes = data.draw(st.lists(st.integers(1, 8), min_size=2, max_size=3))
    labels = [data.draw(st.lists(st.sampled_from(["x", "y", None]), min_size=n, max_size=n)) for n in sizes]
    pairs = data.draw(
        st.lists(st.tuples(*[st.integers(0, sum(sizes) - 1)] * 2).filter(lambda pair: pair[0] != pair[1]), max_size=8)
    )
    features = [dataset(name, own) for name, own in zip("abc", labels, strict=False)]
    models = [
        predict(
            data.draw(st.lists(st.sampled_from(["x", "y", "z", None]), min_size=sizes[0], max_size=sizes[0])),
            model=name,
        )
        for name in ("m", "n")
    ]
    found = score_predictions(models, features, group(sizes, pairs), n_resamples=40)
    for one in found.scores:
        parts = [part for part in (one.on_leaked, one.on_clean) if part is not None]
        assert sum(part.n for part in parts) == one.on_all.n
        assert sum(part.n_right for part in parts) == one.on_all.n_right
        if one.difference is not None:
            assert -1 <= one.difference.low <= one.difference.high <= 1
    most = {(one.model, one.other): one.n_leaked for one in found.scores}
    assert all(n <= most[model, ANY] for (model, _), n in most.items())
    # The images of a dataset in another order, and the models, too.
    order = data.draw(st.permutations(range(sizes[0])))
    moved = {old: new for new, old in enumerate(order)}
    turned = [tuple(moved.get(row, row) for row in pair) for pair in pairs]
    a = Features("a", tuple(features[0].keys[row] for row in order), tuple(labels[0][row] for row in order))
    again = [predict([one.predicted[row] for row in order], model=one.model) for one in models[::-1]]
    assert score_predictions(again, [a, *features[1:]], group(sizes, turned), n_resamples=40) == found


def test_tables_hold_what_the_records_do():
    groups, features = leaking(2, 2)
    found = score_predictions(
        [predict("xxyx", scores=[0.5, 1.0, None, None]), predict("xyyy", model="n")], features, groups
    )
    json.dumps(found.to_json(), allow_nan=False)
    head, *rows = csv.reader(io.StringIO(found.to_csv()))
    assert tuple(head) == SCORE_COLUMNS
    values = dict(zip(head, rows[0], strict=True))
    assert (values["model"], values["n_clean"], values["mean_score_leaked"], values["mean_score_clean"]) == (
        *("m", "2"),
        *("0.75", ""),
    )
    written = found.to_json()["scores"][0]
    assert (written["adjusted"], written["n_leaked"]) == (0.5, 2)
    # One draw in sixteen takes leaked images only, and has nothing clean to compare with.
    assert written["difference"]["n_resamples"] == pytest.approx(2000 * 15 / 16, abs=40)


def test_the_table_of_scores_keeps_whole_numbers_whole():
    pytest.importorskip("pandas")
    groups, features = leaking(2, 0)
    frame = score_predictions([predict("xy")], features, groups).to_pandas()
    assert list(frame.columns) == list(SCORE_COLUMNS)
    assert frame["n_right_leaked"].tolist() == [1, 1]
    assert frame["n_right_clean"].isna().all()
    assert (frame["n_clean"].tolist(), str(frame["n_right_clean"].dtype)) == ([0, 0], "Int64")


def test_without_draws_there_is_no_interval():
    groups, features = leaking(2, 2)
    models = [predict("xxyy"), predict("yxxy", model="n")]
    found = score_predictions(models, features, groups, n_resamples=0)
    drawn = score_predictions(models, features, groups)
    assert [one.on_clean for one in found.scores] == [one.on_clean for one in drawn.scores]
    assert {one.difference for one in found.scores} == {one.balanced_difference for one in found.scores} == {None}
    assert len(drawn.rankings[0].swaps) == 1 and drawn.rankings[0].swaps[0].clean_difference is not None
    assert found.rankings[0].swaps[0].clean_difference is None
    values = next(csv.DictReader(io.StringIO(found.to_csv())))
    assert (values["difference"], values["difference_low"], values["n_resamples"]) == ("", "", "0")


@pytest.mark.parametrize(("n_predicted", "is_told"), [(0, True), (1, True), (2, False)])
def test_predictions_for_few_images_are_asked_about(n_predicted, is_told):
    groups, features = group([6, 1], []), [dataset("a", ["x"] * 4 + [None] * 2), dataset("b", "x")]
    predicted = ["x"] * n_predicted + [None] * (4 - n_predicted) + ["x"] * 2
    notices = score_predictions([predict(predicted)], features, groups).notices
    question = f"m has predictions for {n_predicted} of 4 labelled images of a; is it the right file?"
    assert (question in notices) == is_told


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ConfigError, match="name two or more"):
        score_predictions([predict("x")], [dataset("a", "x")], group([1], []))
    odd = [dataset("any", "x"), dataset("b", "x")]
    edges = Edges(*(np.empty(0, kind) for kind in (np.int32, np.int32, np.uint8, np.float32)))
    with pytest.raises(ConfigError, match="rename it"):
        score_predictions([], odd, find_groups(Roster(("any", "b"), (1, 1)), edges, KeepRule("first")))
    with pytest.raises(ValueError, match="do not fit"):
        score_predictions([], [dataset("a", "xx"), dataset("b", "x")], group([1, 1], []))
