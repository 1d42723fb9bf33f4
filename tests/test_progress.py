"""How far a run has come: counts that add up, live on a terminal, one line elsewhere."""

import io

import pytest
from rich.console import Console

from overlens.progress import Progress, TerminalProgress


def shown(*, terminal: bool) -> tuple[TerminalProgress, io.StringIO]:
    stream = io.StringIO()
    return TerminalProgress(Console(file=stream, force_terminal=terminal, width=120)), stream


def test_a_stage_is_one_line_where_nobody_watches():
    progress, stream = shown(terminal=False)
    with progress.stage("Features of a [b]", 10) as stage:
        stage.advance(cached=3)
        stage.begin(6)
        stage.advance(6, failed=1)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Features of a [b]: 10 of 10 images, 3 cached, 1 failed, ")
    assert "images/s" in lines[0]


def test_images_under_way_move_the_bar_and_are_counted_once():
    progress, _ = shown(terminal=False)
    with progress.stage("x", 10) as stage:
        stage.begin(4)
        assert stage.words().startswith("4 of 10 images")
        stage.advance(4)
        assert stage.words().startswith("4 of 10 images")
        stage.advance(5, failed=1)
        assert stage.words().startswith("10 of 10 images")


def test_a_terminal_gets_a_live_bar():
    progress, stream = shown(terminal=True)
    with progress.stage("Pairs", 2, "tiles") as stage:
        stage.advance(1)
    assert "\x1b[" in stream.getvalue()
    assert "Pairs: 1 of 2 tiles" in stream.getvalue()


def test_seconds_of_a_stage_are_kept_also_when_it_fails():
    progress = Progress()
    for _ in range(2):
        with progress.stage("a", 1):
            pass
    try:
        with progress.stage("b", 1):
            raise RuntimeError
    except RuntimeError:
        pass
    assert set(progress.seconds) == {"a", "b"}


def test_a_stage_and_what_it_takes_beside_its_parts_have_two_names():
    progress, stream = shown(terminal=False)
    progress.name_rest("Maps", "Pictures of maps")
    with progress.stage("Maps", 1, "maps") as stage, progress.timed("Places"):
        stage.advance(1)
    assert set(progress.seconds) == {"Places", "Pictures of maps"}
    assert stream.getvalue().startswith("Maps: 1 of 1 maps")


def test_seconds_count_once_where_one_part_is_timed_inside_another(monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(0, 1000))
    monkeypatch.setattr("overlens.progress.time.perf_counter", lambda: next(clock))
    progress = Progress()
    with progress.timed("run"):
        for _ in range(2):
            with progress.timed("part"):
                pass
        with progress.timed("other"), progress.timed("part"):
            pass
    assert sum(progress.seconds.values()) == 9
    assert progress.seconds["part"] == 3
