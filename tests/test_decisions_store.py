"""The log of decisions: it does what a plain list would, for any number of writers, and loses nothing."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overlens.config import DatasetSpec, RunConfig
from overlens.decisions.records import (
    ANSWERS,
    DecidedImage,
    Decision,
    Occasion,
    digest_answers,
    digest_decisions,
)
from overlens.decisions.store import DecisionStore, LogChanges, LogState, OverruledError
from overlens.errors import ConfigError, StoreError
from overlens.layout import CrossLayout
from overlens.leftovers import find_files

NASTY = (
    "=cmd|' /C calc'!A0",
    '"; DROP TABLE decisions; --',
    "\U0001f600 \u202egpj.exe",
    "two\nlines\r.png",
    "a\x00b",
    "'",
    "",
)


def image(number: int, name: str = "") -> DecidedImage:
    return DecidedImage(bytes([number]) * 32, f"set {number}", name or f"{number}.png")


def keep(store: DecisionStore, decisions: list[Decision]) -> None:
    store.merge(lambda kept: decisions)


@pytest.fixture
def store(tmp_path: Path) -> DecisionStore:
    return DecisionStore(tmp_path / "cross" / "decisions.sqlite")


def test_to_read_makes_no_file(store: DecisionStore):
    assert store.latest() == {} and store.history() == () and store.undo() is None
    assert not store.path.parent.exists()


def test_a_decision_comes_back_as_it_was_made(store: DecisionStore):
    evidence = {"verdict": "edited", "strength": 0.91, "words": ["mirrored", "🙂"]}
    made = store.decide(
        image(2, NASTY[1]), image(1, NASTY[0]), "copy", Occasion("sample:audit", session="w1", shown=evidence, note="?")
    )
    assert (made.number, made.left.digest, made.right.image) == (1, bytes([1]) * 32, NASTY[1])
    assert made.decided_at.endswith("Z") and len(made.decided_at) == len("2026-01-31T12:00:00.000Z")
    assert store.history() == (made,)
    assert store.latest() == {(bytes([1]) * 32, bytes([2]) * 32): made}
    assert dict(store.history()[0].occasion.shown) == evidence


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_any_name_is_only_a_name(store: DecisionStore, name: str):
    store.decide(image(1, name), DecidedImage(bytes(32), name, name), "unsure", Occasion(name, session=name, note=name))
    kept = store.history()[0]
    assert {kept.left.image, kept.origin, kept.occasion.session, kept.note} == {name}
    taken_back = store.undo(name)
    assert taken_back is not None and taken_back.undone_at is not None and not store.latest()


def test_a_name_that_is_no_unicode_is_spelled_out(store: DecisionStore):
    name = os.fsdecode(b"caf\xe9.png")
    kept = store.decide(image(1, name), image(1, name), "copy", Occasion("desk"))
    assert kept.left.image == "caf\\udce9.png" and store.history() == (kept,)


Step = tuple[str, int, int, str, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["decide", "decide", "undo"]),
        st.integers(0, 2),
        st.integers(0, 2),
        st.sampled_from(ANSWERS),
        st.sampled_from(["one", "two"]),
    ),
    max_size=14,
)


@given(STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_decide_and_undo_do_what_a_list_does(tmp_path_factory: pytest.TempPathFactory, steps: list[Step]):
    store = DecisionStore(tmp_path_factory.mktemp("model") / "decisions.sqlite")
    model: list[tuple[tuple[int, int], str, str]] = []
    n_made = 0
    for kind, one, other, answer, session in steps:
        if kind == "decide":
            said = (min(one, other), max(one, other)), answer, session
            store.decide(image(one), image(other), answer, Occasion("desk", session=session))
            if [entry for entry in model if entry[0] == said[0]][-1:] != [said]:  # said again: nothing new
                model.append(said)
                n_made += 1
        else:
            own = [place for place, entry in enumerate(model) if entry[2] == session]
            undone = store.undo(session)
            assert (undone is None) == (not own)
            if own:
                assert undone is not None and undone.answer == model.pop(own[-1])[1]
        wanted = {pair: answer for pair, answer, _ in model}
        assert {(a[0], b[0]): one.answer for (a, b), one in store.latest().items()} == wanted
    assert len(store.history()) == n_made


def test_undo_stays_within_its_window(store: DecisionStore):
    store.decide(image(1), image(2), "copy", Occasion("desk", session="left"))
    store.decide(image(1), image(2), "not a copy", Occasion("desk", session="right"))
    assert store.undo("middle") is None
    assert store.undo("sample:a") is None
    store.undo("left")
    assert [one.answer for one in store.latest().values()] == ["not a copy"]
    store.undo("right")
    assert store.latest() == {} and len(store.history()) == 2


@pytest.mark.parametrize("answer", ["yes", "", "Copy"])
def test_only_known_answers_are_kept(store: DecisionStore, answer: str):
    with pytest.raises(ConfigError, match="allowed: copy, not a copy, same scene, unsure"):
        store.decide(image(1), image(2), answer, Occasion("desk"))
    assert not store.path.exists()


def test_evidence_that_is_no_json_keeps_nothing(store: DecisionStore):
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.decide(image(1), image(2), "copy", Occasion("desk", shown={"cosine": float("nan")}))
    assert store.latest() == {}


def test_an_image_needs_a_whole_digest():
    with pytest.raises(ValueError, match="32 bytes"):
        DecidedImage(b"short", "a", "b")


def _decide_many(path: Path, start: int) -> None:
    store = DecisionStore(path)
    for number in range(100):
        store.decide(image(start), image(number), ANSWERS[number % 4], Occasion("desk", session=str(start)))


def test_two_processes_at_once_lose_nothing(store: DecisionStore):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_decide_many, args=(store.path, start)) for start in (201, 202)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    history = store.history()
    assert [one.number for one in history] == list(range(1, 201)) and len(store.latest()) == 200
    for session in ("201", "202"):
        assert [one.left.digest[0] for one in history if one.occasion.session == session] == list(range(100))


def test_many_threads_at_once_lose_nothing(store: DecisionStore):
    def work(start: int) -> None:
        for number in range(5):
            store.decide(image(start), image(number), "copy", Occasion("desk", session=str(start)))
            assert store.latest()

    threads = [threading.Thread(target=work, args=(100 + start,)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.history()) == 30


WRITER = """
import sys
from pathlib import Path
from overlens.decisions.records import DecidedImage, Occasion
from overlens.decisions.store import DecisionStore

store = DecisionStore(Path(sys.argv[1]))
for number in range(100_000):
    image = DecidedImage(number.to_bytes(32, "big"), "a", f"{number}.png")
    store.decide(image, image, "copy", Occasion("desk"))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("n_acknowledged", [1, 40])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(store: DecisionStore, n_acknowledged: int):
    command = [sys.executable, "-c", WRITER, str(store.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(n_acknowledged):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")
    acknowledged = n_acknowledged + sum(bool(line) for line in rest[:-1])
    kept = [int.from_bytes(one.left.digest, "big") for one in store.history()]
    assert len(kept) >= acknowledged and kept == list(range(len(kept)))
    store.decide(image(255), image(255), "unsure", Occasion("desk"))
    assert len(store.history()) == len(kept) + 1


def test_a_newer_file_is_left_alone(store: DecisionStore):
    store.decide(image(1), image(2), "copy", Occasion("desk"))
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    for use in (store.latest, lambda: store.decide(image(1), image(2), "unsure", Occasion("desk"))):
        with pytest.raises(StoreError, match=r"newer version of overlens \(its format is 7.*update"):
            use()


def test_a_database_of_another_program_is_left_alone(store: DecisionStore):
    store.path.parent.mkdir()
    with sqlite3.connect(store.path) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()
    before = store.path.read_bytes()
    with pytest.raises(StoreError, match="of another program; move it away"):
        store.latest()
    with pytest.raises(StoreError, match="of another program"):
        store.decide(image(1), image(2), "copy", Occasion("desk"))
    assert store.path.read_bytes()[100:] == before[100:]


@pytest.mark.parametrize("damage", ["head", "middle", "answer"])
def test_a_damaged_file_is_told_and_kept(store: DecisionStore, damage: str):
    when = "2026-01-31T12:00:00.000Z"
    keep(store, [Decision(0, image(n), image(n), "copy", when, Occasion("desk", note="x" * 50)) for n in range(200)])
    if damage == "answer":
        connection = sqlite3.connect(store.path)
        connection.execute("UPDATE decisions SET answer = 'perhaps' WHERE number = 7")
        connection.commit()
        connection.close()
    else:
        data = bytearray(store.path.read_bytes())
        start = 0 if damage == "head" else 4096 * 4
        data[start : start + 600] = b"\xff" * 600
        store.path.write_bytes(data)
    before = store.path.read_bytes()
    with pytest.raises(StoreError, match=r"damaged.*left as it is.*Copy it"):
        store.latest()
    assert store.path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="nothing was kept"):
        DecisionStore(tmp_path / "file" / "decisions.sqlite").decide(image(1), image(2), "copy", Occasion("desk"))
    (tmp_path / "decisions.sqlite").mkdir()
    with pytest.raises(StoreError, match="nothing was kept"):
        DecisionStore(tmp_path / "decisions.sqlite").decide(image(1), image(2), "copy", Occasion("desk"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="this user may write everywhere")
def test_decisions_can_be_read_where_nothing_can_be_written(store: DecisionStore):
    store.decide(image(1), image(2), "copy", Occasion("desk"))
    store.path.parent.chmod(0o555)
    try:
        assert len(store.latest()) == 1
    finally:
        store.path.parent.chmod(0o755)


def test_decisions_are_no_result_of_a_run(tmp_path: Path):
    cross = CrossLayout(tmp_path)
    store = DecisionStore(cross.decisions)
    store.decide(image(1), image(2), "copy", Occasion("desk"))
    for path in cross.of_decisions:
        path.touch()
    (cross.folder / "overlap.json").write_text("{}")
    found = find_files(RunConfig((DatasetSpec("a"), DatasetSpec("b")), root=tmp_path))
    assert list(found) == [cross.overlap]


def window(session: str) -> Occasion:
    return Occasion("desk", session=session)


def test_to_say_again_what_counts_keeps_nothing_new(store: DecisionStore):
    first = store.decide(image(1), image(2), "copy", window("left"), seen=0)
    assert store.decide(image(2), image(1), "copy", window("left"), seen=0) == first
    store.decide(image(1), image(2), "copy", replace(window("left"), note="a crop"), seen=first.number)
    assert [one.note for one in store.history()] == ["", "a crop"]
    store.decide(image(1), image(2), "copy", replace(window("right"), note="a crop"), seen=2)
    assert len(store.history()) == 3, "two people who say the same are two"


def test_nobody_overrules_what_he_did_not_see(store: DecisionStore):
    with pytest.raises(OverruledError, match="was taken back"):
        store.decide(image(1), image(2), "copy", window("left"), seen=3)
    assert not store.path.exists(), "a refusal makes no file"
    first = store.decide(image(1), image(2), "copy", window("left"), seen=0)
    with pytest.raises(OverruledError, match="meanwhile somebody answered this pair: copy; nothing was changed") as one:
        store.decide(image(1), image(2), "not a copy", window("right"), seen=0)
    assert one.value.latest == first and store.history() == (first,)
    store.decide(image(1), image(2), "not a copy", window("right"), seen=first.number)
    assert [one.answer for one in store.latest().values()] == ["not a copy"]
    store.undo("right")
    with pytest.raises(OverruledError, match="was taken back, so the one before it counts: copy"):
        store.decide(image(1), image(2), "unsure", window("middle"), seen=2)
    store.undo("left")
    with pytest.raises(OverruledError, match="meanwhile the answer to this pair was taken back; nothing") as last:
        store.decide(image(1), image(2), "unsure", window("middle"), seen=first.number)
    assert last.value.latest is None and store.latest() == {}


def test_a_late_request_of_a_window_replaces_nothing_newer(store: DecisionStore):
    store.decide(image(1), image(2), "not a copy", window("left"), seen=0)
    with pytest.raises(OverruledError):
        store.decide(image(1), image(2), "copy", window("left"), seen=0)
    assert [one.answer for one in store.latest().values()] == ["not a copy"]


def test_any_answer_that_counts_can_be_taken_back(store: DecisionStore):
    with pytest.raises(ConfigError, match="no answer number 1"):
        store.take_back(1)
    assert not store.path.exists()
    first = store.decide(image(1), image(2), "copy", window("left"))
    second = store.decide(image(1), image(2), "unsure", window("right"))
    with pytest.raises(OverruledError, match="somebody answered this pair: unsure"):
        store.take_back(first.number)
    with pytest.raises(ConfigError, match="no answer number 77"):
        store.take_back(77)
    assert store.take_back(second.number).undone_at is not None
    assert store.latest() == {first.pair: first}
    with pytest.raises(OverruledError, match="was taken back, so the one before it counts: copy"):
        store.take_back(second.number)
    store.take_back(first.number)
    with pytest.raises(OverruledError, match="the answer to this pair was taken back"):
        store.take_back(first.number)
    assert store.latest() == {} and len(store.history()) == 2


def test_another_file_in_its_place_is_read_anew(store: DecisionStore, tmp_path: Path):
    store.decide(image(1), image(2), "copy", window("left"))
    state = store.changes(LogState()).state
    other = DecisionStore(tmp_path / "other.sqlite")
    for number in range(3):
        other.decide(image(number), image(3), "unsure", window("left"))
    other.path.replace(store.path)
    for extra in ("-wal", "-shm"):
        Path(f"{store.path}{extra}").unlink(missing_ok=True)
    changes = store.changes(state)
    assert changes.state.file != state.file and [one.number for one in changes.decisions] == [1, 2, 3]


@given(STEPS, st.sets(st.integers(0, 14)))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_read_on_is_the_whole_log(tmp_path_factory: pytest.TempPathFactory, steps: list[Step], looks: set[int]):
    store = DecisionStore(tmp_path_factory.mktemp("changes") / "decisions.sqlite")
    state, known, undone = LogState(), {}, frozenset()
    for place, (kind, one, other, answer, session) in enumerate([*steps, ("undo", 0, 0, "", "one")]):
        if kind == "decide":
            store.decide(image(one), image(other), answer, window(session))
        else:
            store.undo(session)
        if place in looks or place == len(steps):
            changes = store.changes(state)
            state, known = changes.state, known | {one.number: one for one in changes.decisions}
            undone = changes.undone or undone
    holding = [one for number, one in sorted(known.items()) if number not in undone]
    wanted = {pair: one.number for pair, one in store.latest().items()}
    assert {one.pair: one.number for one in holding} == wanted
    assert store.changes(state) == LogChanges(state, (), frozenset())


def test_samples_are_kept_in_their_order(store: DecisionStore):
    assert store.samples() == ()
    for size, seed in ((20, 0), (20, 0), (40, 0), (20, 0)):
        store.record_sample(size, seed)
    assert store.samples() == ((20, 0), (40, 0), (20, 0)) and store.history() == ()


def test_the_digest_of_answers_tells_what_they_say_of_a_run_and_nothing_else(store: DecisionStore):
    places = {bytes([number]) * 32: number for number in (1, 2, 3)} | {bytes([4]) * 32: 2}

    def digest() -> str:
        return digest_answers(store.latest().values(), places)

    assert digest() == ""
    store.decide(image(1), image(2), "copy", Occasion("desk"))
    first = digest()
    assert first
    store.decide(image(2, "renamed"), image(1), "copy", Occasion("sample:a", note="again"))
    store.decide(image(1), image(9), "not a copy", Occasion("desk"))  # an image that is not in the run
    assert digest() == first
    for other, answer in ((4, "not a copy"), (3, "unsure")):  # of equal pixels, and what says nothing: both are told
        store.decide(image(2), image(other), answer, Occasion("desk"))
        assert digest() != first
        store.undo()
        assert digest() == first
    keep(store, [Decision(0, image(1), image(4), "not a copy", "9999-01-01T00:00:00.000Z", Occasion("desk"))])
    second = digest()
    assert second not in ("", first), "of equal pixels the later answer counts"
    store.decide(image(1), image(2), "copy", Occasion("desk"))
    assert digest() == second
    assert digest_decisions(store.latest().values()) != ""


def test_a_decision_knows_its_pair():
    one = Decision(0, image(1), image(2), "copy", "2026-01-31T12:00:00.000Z", Occasion("desk"))
    assert one.pair == (bytes([1]) * 32, bytes([2]) * 32)
    with pytest.raises(ValueError, match="lower digest"):
        Decision(0, image(2), image(1), "copy", "2026-01-31T12:00:00.000Z", Occasion("desk"))
