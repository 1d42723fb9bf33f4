"""The review desk in a real browser, before a real server: hands, keys, two windows, a killed server, hostile names."""

import io
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import overlens
from browsers import LAPTOP, PHONE, axe_source, serious_faults
from overlens.decisions.store import DecisionStore
from overlens.layout import CrossLayout
from overlens.testing import encode_picture, make_picture
from pictures import unrendered_pictures

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("uvicorn", reason="the extra review is not installed")
pytest.importorskip("starlette", reason="the extra review is not installed")
pytestmark = pytest.mark.slow  # a browser draws in software here
N_SHARED = 24
HOSTILE = (
    "<img src=x onerror=alert(1)>.png",
    '"; DROP TABLE decisions; --.png',
    "n" * 236 + ".png",
    "\N{GRINNING FACE} smile.png",
    "\u05ea\u05de\u05d5\u05e0\u05d4 12 (3).png",
    "\u202egnp.exe.png",
    "{{ 7 * 7 }} &amp; =1+1.png",
)
LABEL = "<script>alert(2)<"
DEAF = "window.setInterval = () => 0;"  # a window that does not ask by itself what others said
ANSWER_KEYS = {"c": "copy", "n": "not a copy", "s": "same scene", "u": "unsure"}


def name_of(number: int) -> str:
    return HOSTILE[number] if number < len(HOSTILE) else f"{number:02d}.png"


def edited(pixels: np.ndarray, number: int) -> np.ndarray:
    """A copy that is cropped, mirrored, smaller, or as it was."""
    height, width = pixels.shape[:2]
    cropped = pixels[height // 8 : 7 * height // 8, width // 10 : 9 * width // 10]
    smaller = np.asarray(Image.fromarray(pixels).resize((width * 2 // 3, height * 2 // 3)))
    return np.ascontiguousarray((cropped, pixels[:, ::-1], smaller, pixels)[number % 4])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run of two datasets that share pictures, with names that try to do harm."""
    root = tmp_path_factory.mktemp("desk")
    for side in ("museum", "web"):
        for number in range(N_SHARED):
            pixels = make_picture(number, 640, 480)
            path = root / side / (LABEL if number % 3 else "plain") / name_of(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_picture(edited(pixels, number) if side == "web" else pixels))
    folders = {side: root / side for side in ("museum", "web")}
    options = {"clip_model": "offline", "projections": "none", "cosine_threshold": 0.97}
    with unrendered_pictures():
        overlens.analyze(folders, output=root / "out", **options)
    return root / "out"


@dataclass
class Desk:
    """A running server: its process, its address, and the run it shows."""

    root: Path
    port: int
    process: subprocess.Popen[str] | None = None
    address: str = ""

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "overlens", "review", str(self.root), "--port", str(self.port), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        heard = []
        for line in self.process.stdout or ():
            heard.append(line)
            if found := re.search(r"http://\S+token=\S+", line):
                self.address = found.group()
                break
        else:
            pytest.fail("the desk did not start: " + "".join(heard))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        pytest.fail("nobody listens")

    def kill(self) -> None:
        """End the process as a power cut would: it gets no chance to write anything."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate(timeout=10)
            self.process = None

    def answers(self) -> list[str]:
        """What is kept on the disk, in the order in which it was said."""
        return [one.answer for one in self.store().latest().values()]

    def store(self) -> DecisionStore:
        """What is kept on the disk."""
        return DecisionStore(CrossLayout(self.root).decisions)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def desk(finished: Path, tmp_path: Path) -> Iterator[Desk]:
    """A desk on a copy of the run, so that no test sees the answers of another."""
    shutil.copytree(finished, tmp_path / "out")
    desk = Desk(tmp_path / "out", free_port())
    desk.start()
    yield desk
    desk.kill()


Opener = Callable[..., "api.Page"]


@pytest.fixture
def open_page(browser: "api.Browser", desk: Desk) -> Iterator[Opener]:
    """Open the desk in a window of its own; whatever goes wrong in it fails the test, unless it is to be expected.

    A deaf window does not notice by itself what others say.
    """
    opened, wrong = [], []

    def open_one(*, expects: str = "", is_deaf: bool = False, **options: object) -> "api.Page":
        def hear(message: "api.ConsoleMessage") -> None:
            if message.type in ("error", "warning") and not (expects and expects in message.text):
                wrong.append(f"{message.type}: {message.text}")

        def refuse(dialog: "api.Dialog") -> None:
            wrong.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        def watch(request: "api.Request") -> None:
            if not request.url.startswith((f"http://127.0.0.1:{desk.port}/", "data:", "blob:")):
                wrong.append(f"request: {request.url}")

        context = browser.new_context(**({"viewport": LAPTOP} | options))
        opened.append(context)
        if is_deaf:
            context.add_init_script(DEAF)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", hear)
        page.on("dialog", refuse)
        page.on("request", watch)
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        visit(page, desk)
        return page

    yield open_one
    for context in opened:
        context.close()
    assert wrong == []


def visit(page: "api.Page", desk: Desk) -> None:
    page.goto(desk.address)
    page.wait_for_selector("#table[data-pair]")
    wait_until_shown(page)


def shown_pair(page: "api.Page") -> str:
    return page.locator("#table").get_attribute("data-pair") or ""


def wait_for(page: "api.Page", question: str) -> None:
    """Until a script says yes; Playwright's own way asks by `eval`, which the policy of the page forbids."""
    deadline = time.monotonic() + 15
    while not page.evaluate(question):
        assert time.monotonic() < deadline, question
        page.wait_for_timeout(15)


def wait_until_shown(page: "api.Page", *, other_than: str = "") -> None:
    """Until the pictures of a pair are there: before, no key answers."""
    if other_than:
        api.expect(page.locator(f'#table:not([data-pair="{other_than}"])')).to_have_count(1)
    wait_for(
        page, "[...document.querySelectorAll('.pane > .world > img')].every((one) => one.complete && one.naturalWidth)"
    )
    page.wait_for_timeout(50)


def press(page: "api.Page", key: str) -> None:
    """Press a key that leads to another pair, and wait for that."""
    before = shown_pair(page)
    page.keyboard.press(key)
    wait_until_shown(page, other_than=before)


def expect_count(page: "api.Page", n: int) -> None:
    api.expect(page.locator("#course")).to_contain_text(re.compile(rf"^{n} of "))


def n_listed(page: "api.Page") -> int:
    return int(page.locator("#pair").inner_text().rsplit(" ", 1)[1])


def show_unjudged(page: "api.Page") -> None:
    page.locator("#filters-open").click()
    choose_filter(page, "judged", "no")
    api.expect(page.locator("#filters-open")).to_have_text("Filters: 1 on")
    page.locator("#filters-open").click()
    wait_until_shown(page)
    page.locator("#pair").focus()


def choose_filter(page: "api.Page", name: str, value: str) -> None:
    page.locator(f'#filters [name="{name}"]').select_option(value)


def test_twenty_pairs_are_judged_by_keys_alone(open_page, desk):
    page = open_page()
    keys = "ccnscucccnsccuccncsc"
    seen = []
    for key in keys:
        seen.append(shown_pair(page))
        press(page, key)
    assert len(set(seen)) == 20 and shown_pair(page) not in seen
    expect_count(page, 20)
    assert desk.answers() == [ANSWER_KEYS[key] for key in keys]
    kept = desk.store().latest()
    assert ["-".join(digest.hex() for digest in pair) for pair in kept] == seen
    assert all(decision.occasion.shown["measured"] for decision in kept.values()), (
        "what was shown is kept with what was said"
    )


def test_precision_is_said_in_words_with_its_interval(open_page):
    page = open_page()
    page.locator("#filters-open").click()
    page.locator('#rungs input[value="edited"]').check(force=True)
    api.expect(page.locator("#fitting")).not_to_have_text("")
    page.locator("#filters-open").click()
    page.wait_for_timeout(300)
    page.locator("#pair").focus()
    for key in "ccn":
        press(page, key)
    precision = page.locator("#precision")
    api.expect(precision).to_have_text("Of 3 verified judged, 2 are copies: 67 % (21 to 94 %)")
    assert "no estimate for the run" in precision.get_attribute("title")


def test_undo_goes_back_to_the_pair_and_takes_its_answer(open_page, desk):
    page = open_page()
    first = shown_pair(page)
    press(page, "c")
    second = shown_pair(page)
    press(page, "n")
    press(page, "z")
    assert shown_pair(page) == second and desk.answers() == ["copy"]
    assert page.locator('.answer[aria-pressed="true"]').count() == 0
    press(page, "Backspace")
    assert shown_pair(page) == first and desk.answers() == []
    page.keyboard.press("z")
    api.expect(page.locator("#said")).to_contain_text("no answer of this window")


def test_reload_keeps_answers_and_undo(open_page, desk):
    page = open_page()
    for key in "cns":
        press(page, key)
    last = shown_pair(page)
    page.reload()
    page.wait_for_selector("#table[data-pair]")
    wait_until_shown(page)
    expect_count(page, 3)
    assert shown_pair(page) == last, "it goes on where nobody has judged yet"
    press(page, "ArrowLeft")
    assert page.locator('.answer[aria-pressed="true"]').get_attribute("data-answer") == "same scene"
    page.keyboard.press("z")
    api.expect(page.locator('.answer[aria-pressed="true"]')).to_have_count(0)
    assert desk.answers() == ["copy", "not a copy"]


def test_a_killed_server_loses_no_answer(open_page, desk):
    page = open_page(expects="Failed to load resource")
    for key in "ccncs":
        press(page, key)
    desk.kill()
    assert desk.answers() == ["copy", "copy", "not a copy", "copy", "same scene"]
    before = shown_pair(page)
    page.keyboard.press("c")
    alert = page.locator("#gone")
    api.expect(alert).to_contain_text("Your answers up to here are safe; start overlens review again")
    api.expect(page.locator("#said")).to_contain_text("was not confirmed")
    page.locator("#retry").click()
    api.expect(alert).to_be_visible()
    assert shown_pair(page) == before, "what was not kept is asked again"
    desk.start()
    page.locator("#retry").click()
    api.expect(alert).to_contain_text("open the address that overlens review printed last")
    visit(page, desk)
    expect_count(page, 5)
    assert shown_pair(page) == before
    press(page, "c")
    assert len(desk.answers()) == 6


def test_two_windows_do_not_lose_each_others_answers(open_page, desk):
    one, other = open_page(), open_page()
    assert shown_pair(one) == shown_pair(other)
    press(one, "c")
    api.expect(other.locator("#given-says")).to_have_text("Answered: copy", timeout=12_000)
    api.expect(other.locator("#said")).to_contain_text("Another window answered this pair: copy.")
    for key in "nn":
        press(one, key)
    press(other, "s")
    expect_count(other, 3)
    press(other, "z")
    assert sorted(desk.answers()) == ["copy", "not a copy", "not a copy"], "a window takes back only its own"
    expect_count(one, 3)
    press(one, "z")
    assert sorted(desk.answers()) == ["copy", "not a copy"]


def test_a_window_is_not_led_to_a_pair_that_another_answered(open_page, desk):
    one, other = open_page(is_deaf=True), open_page(is_deaf=True, expects="409")
    first = shown_pair(one)
    press(other, "ArrowRight")
    second = shown_pair(other)
    press(other, "n")
    third = shown_pair(other)
    press(one, "c")
    assert shown_pair(one) == third, "the second pair was answered by the other window"
    press(one, "s")
    expect_count(one, 3)
    other.keyboard.press("u")
    api.expect(other.locator("#said")).to_contain_text("another window answered this pair meanwhile: same scene.")
    press(other, "ArrowRight")
    press(other, "u")
    for _ in range(3):
        press(one, "ArrowLeft")
        if shown_pair(one) == second:
            api.expect(one.locator("#given-says")).to_have_text("Answered: not a copy")
    assert shown_pair(one) == first
    api.expect(one.locator("#given-says")).to_have_text("Answered: copy")
    assert len(desk.answers()) == 4


def test_an_answer_never_replaces_one_that_was_not_seen(open_page, desk):
    one, other = open_page(is_deaf=True, expects="409"), open_page()
    pair = shown_pair(one)
    other.locator("#note").fill("another print")
    other.locator("#pair").focus()
    press(other, "n")
    one.keyboard.press("c")
    said = one.locator("#said")
    api.expect(said).to_contain_text("Not kept: another window answered this pair meanwhile: not a copy.")
    assert shown_pair(one) == pair and desk.answers() == ["not a copy"]
    api.expect(one.locator("#given-says")).to_have_text("Answered: not a copy")
    api.expect(one.locator("#note")).to_have_value("another print")
    press(one, "c")
    assert [(each.answer, each.note) for each in desk.store().history()] == [
        ("not a copy", "another print"),
        ("copy", "another print"),
    ]
    press(other, "ArrowLeft")
    api.expect(other.locator("#given-says")).to_have_text("Answered: copy", timeout=12_000)
    press(one, "ArrowLeft")
    one.locator("#take-back").click()
    api.expect(said).to_contain_text("Taken back. Now counts: not a copy.")


def test_an_answer_to_one_that_was_taken_back_is_told(open_page, desk):
    one, other = open_page(is_deaf=True), open_page(is_deaf=True, expects="409")
    pair = shown_pair(one)
    press(one, "c")
    press(other, "ArrowRight")
    press(other, "n")
    press(other, "ArrowLeft")
    press(other, "ArrowLeft")
    assert shown_pair(other) == pair
    api.expect(other.locator("#given-says")).to_have_text("Answered: copy")
    press(one, "z")
    other.locator("#note").fill("mine")
    other.locator("#pair").focus()
    other.keyboard.press("s")
    api.expect(other.locator("#said")).to_contain_text("Not kept: another window took back the answer")
    api.expect(other.locator("#given")).to_be_hidden()
    assert other.locator("#note").input_value() == "mine", "what was typed stays"
    press(other, "s")
    assert sorted(desk.answers()) == ["not a copy", "same scene"]


def test_any_answer_that_counts_can_be_taken_back(open_page, desk):
    one, other = open_page(), open_page(is_deaf=True, expects="409")
    press(one, "c")
    press(other, "ArrowRight")
    press(other, "ArrowLeft")
    assert other.locator("#given").is_hidden(), "it did not hear of it yet"
    press(other, "ArrowRight")
    press(other, "u")
    press(other, "ArrowLeft")
    press(other, "ArrowLeft")
    take_back = other.locator("#take-back")
    take_back.focus()
    other.keyboard.press("Enter")
    said = other.locator("#said")
    api.expect(said).to_contain_text("Taken back. Now nobody's answer counts. Pair 1 of")
    assert desk.answers() == ["unsure"]
    assert other.evaluate("document.activeElement.id") == "pair", "the button is gone, and the focus is not lost"
    api.expect(other.locator("#given")).to_be_hidden()
    press(one, "ArrowLeft")
    api.expect(one.locator("#given")).to_be_hidden(timeout=12_000)
    press(one, "n")
    other.keyboard.press("ArrowRight")
    take_back.click()
    api.expect(said).to_contain_text("Taken back.")
    assert desk.answers() == ["not a copy"]
    press(other, "ArrowLeft")
    api.expect(take_back).to_be_visible()
    press(one, "z")
    take_back.click()
    api.expect(said).to_contain_text("That answer does not count any more: another window was faster. Now nobody")


def drop(page: "api.Page", path: str, *, is_heard: bool) -> None:
    """Lose one request, or the answer to it."""
    lost = []

    def lose(route: "api.Route") -> None:
        if lost:
            return route.fallback()
        lost.append(route.request.url)
        if is_heard:
            route.fetch()
        return route.abort()

    page.route(f"**/api/{path}?*", lose)  # an expired route can take the next one with it


@pytest.mark.parametrize("is_heard", [True, False], ids=["answer lost", "request lost"])
def test_what_was_not_confirmed_is_looked_at_before_it_is_told_again(open_page, desk, is_heard):
    page = open_page(is_deaf=True, expects="Failed to load resource")
    said, retry = page.locator("#said"), page.locator("#retry")
    pair = shown_pair(page)
    drop(page, "decide", is_heard=is_heard)
    page.keyboard.press("c")
    api.expect(said).to_contain_text("The last answer, copy, was not confirmed.")
    retry.click()
    words = "Your answer counts: copy." if is_heard else "Your answer, copy, was not kept: give it again."
    api.expect(said).to_have_text(f"The server is back. {words}")
    press(page, "c")
    assert desk.answers() == ["copy"] and len(desk.store().history()) == 1
    press(page, "n")
    second = page.locator("#pair").inner_text()
    drop(page, "undo", is_heard=is_heard)
    page.keyboard.press("z")
    api.expect(said).to_contain_text("It is not known whether the answer was taken back")
    page.keyboard.press("z")  # which does nothing before it is known
    retry.click()
    words = "That answer does not count any more." if is_heard else "That answer was not taken back: it still counts."
    api.expect(said).to_contain_text(words)
    assert page.locator("#pair").inner_text() != second, "it shows the pair that it is about"
    assert desk.answers() == (["copy"] if is_heard else ["copy", "not a copy"])
    wait_until_shown(page)
    if is_heard:
        press(page, "z")
        assert shown_pair(page) == pair and desk.answers() == []
    else:
        page.keyboard.press("z")
        api.expect(said).to_contain_text("Taken back. Now nobody's answer counts.")
        assert desk.answers() == ["copy"]


def test_notes_stay_with_their_pairs(open_page, desk):
    page = open_page()
    note = page.locator("#note")
    note.fill("half a thought")
    page.locator("#pair").focus()
    press(page, "ArrowRight")
    assert note.input_value() == ""
    note.fill("of the second")
    page.locator("#pair").focus()
    press(page, "ArrowLeft")
    assert note.input_value() == "half a thought"
    note.fill("a whole one")
    page.locator("#pair").focus()
    press(page, "c")
    assert note.input_value() == "of the second"
    press(page, "ArrowLeft")
    assert note.input_value() == "a whole one", "an answered pair shows its note"
    press(page, "n")
    press(page, "z")
    assert note.input_value() == "a whole one"
    note.fill("")
    page.locator("#pair").focus()
    press(page, "s")
    assert [(one.answer, one.note) for one in desk.store().latest().values()] == [("same scene", "")]
    assert [one.note for one in desk.store().history()] == ["a whole one", "a whole one", ""]
    press(page, "ArrowRight")
    page.reload()
    page.wait_for_selector("#table[data-pair]")
    wait_until_shown(page)
    press(page, "ArrowLeft")
    assert note.input_value() == ""


def test_the_other_note_is_shown_beside_what_was_typed(open_page):
    one, other = open_page(is_deaf=True, expects="409"), open_page(is_deaf=True)
    other.locator("#note").fill("<b>theirs</b>")
    one.locator("#note").fill("mine")
    for page in (one, other):
        page.locator("#pair").focus()
    press(other, "n")
    one.keyboard.press("n")
    api.expect(one.locator("#note-kept")).to_have_text("Its note: <b>theirs</b>")
    assert one.locator("#note").input_value() == "mine"


def test_it_starts_where_nobody_judged_without_reading_what_was(open_page, desk):
    page = open_page()
    with page.expect_response("**/api/pairs?*") as answer:
        page.reload()
    template = answer.value.json()["pairs"][0]
    wait_until_shown(page)
    n, first_open, asked = 5_000, 3_210, []

    def pair_at(place: int) -> Mapping[str, object]:
        kept = {"answer": "copy", "number": place + 1} if place < first_open else {}
        return template | {"id": f"{place:064x}-{place:064x}"} | kept

    def listed(route: "api.Route", request: "api.Request") -> None:
        wanted = {name: int(value) for name, value in re.findall(r"(offset|limit)=(\d+)", request.url)}
        asked.append(wanted["offset"])
        pairs = [pair_at(place) for place in range(n)[wanted["offset"] :][: wanted["limit"]]]
        route.fulfill(json={"n": n, "offset": wanted["offset"], "first_open": first_open, "pairs": pairs})

    page.route("**/api/pairs?*", listed)
    page.reload()
    heading = page.locator("#pair")
    api.expect(heading).to_have_text("Pair 3,211 of 5,000")
    wait_until_shown(page)
    for _ in range(12):
        press(page, "ArrowLeft")
    api.expect(heading).to_have_text("Pair 3,199 of 5,000")
    api.expect(page.locator("#given-says")).to_have_text("Answered: copy")
    assert len(asked) <= 4, asked


def test_filters_narrow_the_list_and_clear(open_page):
    page = open_page()
    everything = n_listed(page)
    page.locator("#filters-open").click()
    fitting = page.locator("#fitting")
    page.locator('#filters [name="query"]').fill("DROP TABLE")
    api.expect(fitting).not_to_have_text(f"{everything} pairs fit.")
    assert HOSTILE[1] in page.locator("#caption-left").inner_text() + page.locator("#caption-right").inner_text()
    page.locator('#filters [name="query"]').fill("no such name")
    api.expect(page.locator("#nothing")).to_have_text("No pair fits these filters.")
    page.locator('#filters button[type="reset"]').click()
    api.expect(fitting).to_have_text(f"{everything} pairs fit.")
    choose_filter(page, "class", LABEL)
    api.expect(fitting).not_to_have_text(f"{everything} pairs fit.")
    assert LABEL in page.locator(".captions").inner_text()
    page.locator('#filters button[type="reset"]').click()
    api.expect(fitting).to_have_text(f"{everything} pairs fit.")
    page.locator('#rungs input[value="same_bytes"]').check(force=True)
    api.expect(page.locator("#facts .rung")).to_have_text("same bytes")
    page.locator('#filters button[type="reset"]').click()
    api.expect(fitting).to_have_text(f"{everything} pairs fit.")
    page.locator('#filters [name="min_cosine"]').fill("0.99")
    api.expect(fitting).not_to_have_text(f"{everything} pairs fit.")
    page.locator('#filters button[type="reset"]').click()
    api.expect(fitting).to_have_text(f"{everything} pairs fit.")
    assert page.locator('#filters label:has([name="max_bits"])').inner_text().startswith("phash differs in at most")
    page.locator('#filters [name="max_bits"]').fill("0")
    page.locator('#filters [name="max_bits"]').press("Enter")
    api.expect(fitting).not_to_have_text(f"{everything} pairs fit.")
    api.expect(page.locator("#filters-open")).to_have_text("Filters: 1 on")
    api.expect(page.locator("#facts tr", has_text="phash differs in bits").locator("td")).to_have_text("0")


def test_a_list_of_pairs_to_judge_loses_none_while_it_shrinks(open_page, desk):
    page = open_page()
    everything = n_listed(page)
    show_unjudged(page)
    for _ in range(min(everything, 30) - 1):
        press(page, "u")
    assert len(desk.answers()) == min(everything, 30) - 1
    if everything <= 30:
        page.keyboard.press("u")
        api.expect(page.locator("#said")).to_contain_text("Every pair of this list is judged.")


def test_a_list_of_pairs_to_judge_skips_what_another_window_judged(open_page, desk):
    one, other = open_page(is_deaf=True), open_page(is_deaf=True)
    for page in (one, other):
        show_unjudged(page)
    press(other, "ArrowRight")
    press(other, "n")
    third = shown_pair(other)
    press(one, "c")
    assert shown_pair(one) == third
    press(one, "ArrowLeft")
    api.expect(one.locator("#given-says")).to_have_text("Answered: not a copy")
    assert sorted(desk.answers()) == ["copy", "not a copy"]


def test_what_the_server_takes_is_what_it_says(open_page):
    page = open_page()
    assert page.locator("#note").get_attribute("maxlength") == "1000"
    page.locator("#answers-open").click()
    api.expect(page.locator("#answers")).to_contain_text("up to 20 MiB")


def test_hostile_names_are_texts_and_nothing_else(open_page):
    page = open_page()
    seen = ""
    for _ in range(n_listed(page) - 1):
        seen += page.locator(".captions").inner_text() + "\n"
        assert (
            page.evaluate("document.querySelectorAll('img[src=\"x\"], main script, main i:not(.steps i)').length") == 0
        )
        press(page, "ArrowRight")
    seen += page.locator(".captions").inner_text()
    assert all(name.replace("\u202e", "") in seen.replace("\u202e", "") for name in HOSTILE)
    assert LABEL in seen


def test_keys_do_nothing_while_someone_types(open_page, desk):
    page = open_page()
    page.locator("#note").focus()
    page.keyboard.type("cnsuz: a scan of the same print")
    assert desk.answers() == []
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "pair"
    press(page, "c")
    kept = desk.store().latest()
    assert [one.note for one in kept.values()] == ["cnsuz: a scan of the same print"]
    assert page.locator("#note").input_value() == ""


def test_single_keys_can_be_switched_off(open_page, desk):
    page = open_page()
    page.keyboard.press("?")
    page.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.wait_for_timeout(300)
    assert desk.answers() == []
    before = shown_pair(page)
    page.locator('.answer[data-answer="copy"]').click()
    wait_until_shown(page, other_than=before)
    assert desk.answers() == ["copy"]


def test_a_held_key_answers_one_pair(open_page, desk):
    page = open_page()
    page.keyboard.down("c")
    for _ in range(5):
        page.keyboard.down("c")
        page.wait_for_timeout(100)
    page.keyboard.up("c")
    assert desk.answers() == ["copy"]


def test_help_opens_and_gives_the_focus_back(open_page):
    page = open_page()
    page.locator("#help-open").focus()
    page.keyboard.press("Enter")
    assert page.locator("#help").is_visible() and page.locator("#help kbd").count() >= 15
    page.keyboard.press("c")  # which answers nothing behind the list of keys
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    assert page.evaluate("document.activeElement.id") == "help-open"
    expect_count(page, 0)


def to_edited_crop(page: "api.Page") -> None:
    """Show a cropped copy."""
    page.locator("#filters-open").click()
    page.locator('#filters [name="query"]').fill("08.png")
    page.locator('#rungs input[value="edited"]').check(force=True)
    api.expect(page.locator("#facts .rung")).to_have_text("edited")
    page.wait_for_timeout(400)
    page.locator("#filters-open").click()
    wait_until_shown(page)
    page.locator("#pair").focus()


def middle_of(screenshot: bytes) -> float:
    with Image.open(io.BytesIO(screenshot)) as picture:
        pixels = np.asarray(picture.convert("L"), float)
    height, width = pixels.shape
    return float(pixels[2 * height // 5 : 3 * height // 5, 2 * width // 5 : 3 * width // 5].mean())


def test_difference_of_the_aligned_pictures_is_nearly_black(open_page):
    page = open_page()
    to_edited_crop(page)
    page.keyboard.press("d")
    page.wait_for_timeout(200)
    assert page.locator("#table").get_attribute("data-mode") == "difference"
    assert middle_of(page.locator("#pane-left").screenshot()) < 14
    page.evaluate("document.querySelector('.over').style.visibility = 'hidden'")
    assert middle_of(page.locator("#pane-left").screenshot()) > 40, "what is hidden now did cancel the picture"
    page.keyboard.press("d")
    assert page.locator("#table").get_attribute("data-mode") == "side"


def test_swipe_follows_keys_and_drag(open_page):
    page = open_page()
    to_edited_crop(page)
    page.keyboard.press("w")
    page.locator("#line").press("ArrowLeft")
    assert page.evaluate("document.querySelector('.edge').style.left") == "49%"
    box = page.locator("#pane-left").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.49, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60, steps=4)
    page.mouse.up()
    assert 75 < float(page.locator("#line").input_value()) < 85


def test_flicker_turns_slowly_and_stands_still_where_less_motion_is_wanted(open_page):
    count_turns = """() => {
        window.turns = 0;
        const table = document.querySelector('#table');
        let was = table.classList.contains('turned');
        new MutationObserver(() => {
            const is = table.classList.contains('turned');
            if (is !== was) window.turns += 1;
            was = is;
        }).observe(table, { attributes: true, attributeFilter: ['class'] });
    }"""
    page = open_page()
    to_edited_crop(page)
    page.evaluate(count_turns)
    page.keyboard.press("f")
    page.wait_for_timeout(2_500)
    assert 2 <= page.evaluate("turns") <= 4, "at most two flashes a second: four turns"
    calm = open_page(reduced_motion="reduce")
    to_edited_crop(calm)
    calm.evaluate(count_turns)
    calm.keyboard.press("f")
    calm.wait_for_timeout(1_200)
    assert calm.evaluate("turns") == 0
    calm.locator("#turn").click()
    assert calm.locator("#table.turned").count() == 1


def test_both_pictures_are_enlarged_and_moved_together(open_page):
    page = open_page()
    to_edited_crop(page)
    corner = """[...document.querySelectorAll('.pane > .world')]
        .map((one) => new DOMMatrix(getComputedStyle(one).transform)).map((matrix) => [matrix.a, matrix.e])"""
    page.keyboard.press("+")
    page.keyboard.press("+")
    (left, at_left), (right, at_right) = page.evaluate(corner)
    assert left == right == pytest.approx(2.25)
    page.keyboard.press("Shift+ArrowRight")
    (_, moved_left), (_, moved_right) = page.evaluate(corner)
    assert moved_left < at_left and moved_right < at_right
    box = page.locator("#pane-right").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(100)
    assert page.evaluate(corner)[0][0] > left
    wait_for(page, "document.querySelector('#pane-left img').src.includes('full=1')")  # the original's pixels by now
    page.keyboard.press("0")
    assert [scale for scale, _ in page.evaluate(corner)] == [1, 1]


def test_matched_points_are_drawn(open_page):
    page = open_page(expects="willReadFrequently")
    to_edited_crop(page)
    page.keyboard.press("m")
    page.wait_for_selector("#points[data-n]")
    assert int(page.locator("#points").get_attribute("data-n")) > 0
    drawn = """() => {
        const canvas = document.querySelector('#points');
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let n = 0;
        for (let place = 3; place < pixels.length; place += 4) n += pixels[place] > 0;
        return n;
    }"""
    assert page.evaluate(drawn) > 50
    page.keyboard.press("m")
    assert page.evaluate(drawn) == 0


def test_pictures_of_the_next_pair_are_there_before_it_is_shown(open_page):
    page = open_page()
    page.wait_for_timeout(500)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/image/" in request.url else None)
    before = shown_pair(page)
    page.keyboard.press("ArrowRight")
    wait_until_shown(page, other_than=before)
    rows = page.evaluate("[...document.querySelectorAll('.pane > .world > img')].map((one) => one.src)")
    took = page.evaluate(
        "performance.getEntriesByType('resource').filter((one) => one.name.includes('/image/')).map((one) => one.name)"
    )
    assert all(row in took for row in rows)
    assert not [url for url in asked if url in rows], "they came from the browser's memory"


def test_answers_go_out_and_in_as_a_table(open_page, tmp_path, desk):
    page = open_page(expects="400")
    for key in "cn":
        press(page, key)
    page.locator("#answers-open").click()
    with page.expect_download() as download:
        page.locator("#export").click()
    table = tmp_path / "answers.csv"
    download.value.save_as(table)
    text = table.read_text(encoding="utf-8")
    assert "not a copy" in text and len(text.splitlines()) == 3
    page.locator("#import").set_input_files(table)
    api.expect(page.locator("#import-says")).to_have_text("0 answers added, 2 known already.")
    table.write_text(text.replace("not a copy", "<img src=x onerror=alert(3)>"), encoding="utf-8")
    page.locator("#import").set_input_files(table)
    api.expect(page.locator("#import-says")).to_contain_text("Nothing was imported")
    assert page.locator("#import-says img").count() == 0
    assert sorted(desk.answers()) == ["copy", "not a copy"]


def test_the_desk_is_walked_by_keyboard_without_a_trap(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "pair"
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.dataset?.answer || ''"))
    assert {"copy", "not a copy", "same scene", "unsure", "undo", "after", "filters-open", "note"} <= set(seen)


def test_what_happened_is_said_to_a_screen_reader_and_the_focus_stays(open_page):
    page = open_page()
    button = page.locator('.answer[data-answer="unsure"]')
    button.focus()
    before = shown_pair(page)
    page.keyboard.press("Enter")
    wait_until_shown(page, other_than=before)
    said = page.locator("#said")
    assert said.get_attribute("aria-live") == "polite"
    assert said.inner_text().startswith("Kept: unsure. Pair 2 of ")
    assert button.evaluate("button => document.activeElement === button")


def test_an_audit_sample_is_announced_and_judged_unprompted(open_page, desk):
    desk.kill()
    desk.start("--sample", "12")
    page = open_page()
    banner = page.locator("#sample")
    api.expect(banner).to_contain_text(
        re.compile(r"Audit sample “12-0”: (\d+) of \1 pairs to go\.12 images drawn, which stand for \1 pairs\. Judge")
    )
    assert page.locator("#facts").is_hidden(), "what the program says is not shown before the answer"
    press(page, "c")
    expect_count(page, 1)
    api.expect(banner).not_to_contain_text("not count yet")
    press(page, "ArrowLeft")
    assert page.locator("#facts").is_visible()
    kept = desk.store().latest()
    assert [one.origin for one in kept.values()] == ["sample:12-0"]


def test_an_audit_sample_counts_from_its_beginning_and_states_each_dataset(open_page, desk):
    desk.kill()
    desk.start("--sample", "12")
    page = open_page()
    banner, parts = page.locator("#sample"), page.locator("#sample-parts li")
    press(page, "ArrowRight")
    page.locator("#evidence summary").click()
    press(page, "c")
    gap = "1 answer does not count yet: a sample counts from its beginning, without gaps. Go on in its order."
    api.expect(banner).to_contain_text(gap)
    assert parts.count() == 0
    press(page, "ArrowLeft")
    press(page, "ArrowLeft")
    press(page, "n")
    press(page, "c")  # in its order, behind the one that was not
    api.expect(banner).not_to_contain_text("not count yet")
    shown = [one.occasion.shown["open"] for one in desk.store().history()]
    assert shown == [True, False, False], "whether the evidence was open is kept with the answer"
    for _ in range(n_listed(page) - 4):
        press(page, "c")
    page.keyboard.press("u")
    api.expect(banner).to_contain_text(re.compile(r"all \d+ pairs judged"))
    api.expect(banner).to_contain_text(re.compile(r"It says: about \d+ of \d+ images with a copy in another dataset"))
    assert banner.text_content().count("Run overlens report") == 1 and "So far" not in banner.text_content()
    assert [text.split(":")[0] for text in parts.all_text_contents()] == ["museum", "web"]


def test_an_audit_sample_that_draws_all_says_so(open_page, desk):
    desk.kill()
    desk.start("--sample", "500")
    banner = open_page().locator("#sample-says")
    api.expect(banner).to_contain_text(
        re.compile(r"^All \d+ images there are to draw were drawn, which stand for \d+ pairs")
    )


def test_judged_pairs_are_judged_once_more_one_after_the_other(open_page, desk):
    page = open_page()
    for key in "uuu":
        press(page, key)
    page.locator("#filters-open").click()
    choose_filter(page, "judged", "unsure")
    api.expect(page.locator("#pair")).to_have_text("Pair 1 of 3")
    page.locator("#filters-open").click()
    wait_until_shown(page)
    page.locator("#pair").focus()
    seen = [shown_pair(page)]
    for _ in range(2):
        press(page, "c")
        seen.append(shown_pair(page))
    assert len(set(seen)) == 3
    page.keyboard.press("c")
    api.expect(page.locator("#said")).to_have_text("Kept: copy. This was the last pair of this list.")
    assert desk.answers() == ["copy"] * 3


@pytest.mark.parametrize(("key", "has_effect"), [("n", False), ("s", False), ("c", True)], ids=["not", "scene", "copy"])
def test_an_answer_against_a_fact_is_said_to_change_nothing(open_page, key, has_effect):
    page = open_page()
    page.locator("#filters-open").click()
    page.locator('#rungs input[value="same_bytes"]').check(force=True)
    api.expect(page.locator("#facts .rung")).to_have_text("same bytes")
    wait_until_shown(page)
    page.locator("#pair").focus()
    press(page, key)
    says = "The files are equal, which is a fact: this answer is kept, and changes nothing in the results."
    said = page.locator("#said")
    api.expect(said).to_contain_text(f"Kept: {ANSWER_KEYS[key]}.")
    assert (says in said.inner_text()) is not has_effect
    press(page, "ArrowLeft")
    assert page.locator("#given-fact").is_hidden() is has_effect
    assert has_effect or page.locator("#given-fact").inner_text() == says


def test_an_answer_that_cannot_be_kept_is_an_alert(open_page, desk):
    page = open_page(expects="500")
    press(page, "c")
    before = shown_pair(page)
    with closing(sqlite3.connect(CrossLayout(desk.root).decisions)) as store, store:
        store.execute("CREATE TRIGGER full BEFORE INSERT ON decisions BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    page.keyboard.press("n")
    alert = page.get_by_role("alert")
    api.expect(alert).to_contain_text("The server could not do this: ")
    api.expect(alert).to_contain_text("disk is full")
    assert (
        shown_pair(page) == before and page.locator("#given").is_hidden() and page.locator("#said").inner_text() == ""
    )
    assert desk.answers() == ["copy"]
    with closing(sqlite3.connect(CrossLayout(desk.root).decisions)) as store, store:
        store.execute("DROP TRIGGER full")
    press(page, "n")
    api.expect(alert).to_have_count(0)
    assert desk.answers() == ["copy", "not a copy"]


def test_numbers_filter_while_they_are_typed_and_wrong_ones_are_said(open_page):
    page = open_page()
    everything = f"{n_listed(page):,} pairs fit."
    page.locator("#filters-open").click()
    fitting, wrong, opener = page.locator("#fitting"), page.locator("#wrong"), page.locator("#filters-open")
    field = {
        name: page.locator(f'#filters [name="{name}"]')
        for name in ("min_cosine", "min_strength", "max_strength", "max_bits")
    }
    field["min_cosine"].press_sequentially("0.99")
    api.expect(fitting).not_to_have_text(everything)
    api.expect(opener).to_have_text("Filters: 1 on")
    for value, says in (("5", "must be -1 to 1"), ("-7", "must be -1 to 1"), ("1e400", "must be a number of -1 to 1")):
        field["min_cosine"].clear()
        field["min_cosine"].press_sequentially(value)
        api.expect(wrong).to_have_text(f"“Cosine from” {says}, so it is not applied.")
        api.expect(field["min_cosine"]).to_have_attribute("aria-invalid", "true")
        api.expect(fitting).to_have_text(everything)
        api.expect(opener).to_have_text("Filters")
    field["min_cosine"].clear()
    api.expect(wrong).to_be_hidden()
    field["max_bits"].press_sequentially("2.5")
    api.expect(wrong).to_have_text("The number of bits must be a whole number, 0 or more, so it is not applied.")
    field["max_bits"].clear()
    field["min_strength"].press_sequentially("0.9")
    field["max_strength"].press_sequentially("0.1")
    api.expect(wrong).to_have_text("“How sure, from”, 0.9, is above “up to”, 0.1, so neither is applied.")
    api.expect(fitting).to_have_text(everything)
    field["max_strength"].press_sequentially("5")
    field["min_strength"].fill("0.05")
    api.expect(wrong).to_be_hidden()
    api.expect(opener).to_have_text("Filters: 2 on")
    shown = page.locator("#pair").inner_text()
    page.locator("#filters-open").click()
    page.wait_for_timeout(500)
    assert page.locator("#pair").inner_text() == shown, "leaving a field is no new filter"


def test_what_the_answers_mean_is_told_by_touch_and_by_key(open_page, desk):
    page = open_page(viewport=PHONE, has_touch=True)
    page.locator("#meanings-open").tap()
    meanings = page.locator("#meanings")
    api.expect(meanings).to_be_visible()
    assert [text.lower() for text in meanings.locator("dt").all_inner_texts()] == list(ANSWER_KEYS.values())
    meanings.locator("[data-close]").tap()
    api.expect(meanings).to_be_hidden()
    page.locator("#meanings-open").focus()
    page.keyboard.press("Enter")
    api.expect(meanings).to_be_visible()
    page.keyboard.press("c")  # which answers nothing behind it
    page.keyboard.press("Escape")
    assert desk.answers() == []
    assert all(page.locator(".answer").nth(place).get_attribute("title") for place in range(4))


@pytest.mark.parametrize("mode", ["", "w", "f", "d"], ids=["side by side", "swipe", "flicker", "difference"])
@pytest.mark.parametrize(
    ("width", "height", "least"), [(1280, 800, 400), (1280, 720, 320), (844, 390, 150)], ids=["800", "720", "phone"]
)
def test_pictures_captions_and_answers_are_all_in_view(open_page, width, height, least, mode):
    page = open_page(viewport={"width": width, "height": height})
    for key in "cnscu":
        press(page, key)
    if mode:
        page.keyboard.press(mode)
    page.evaluate("""for (const one of document.querySelectorAll('.captions [dir]')) one.textContent = 'n'.repeat(300);
        document.querySelector('#facts').append('what the program says '.repeat(200))""")
    page.wait_for_timeout(150)
    boxes = {
        what: page.locator(what).bounding_box()
        for what in (".desk-top", "#table", ".captions", ".captions .more >> nth=1", "#note", ".dock", ".answers")
    }
    ends = {what: box["y"] + box["height"] for what, box in boxes.items()}
    dock = boxes[".dock"]["y"]
    assert boxes["#table"]["y"] >= ends[".desk-top"] and boxes["#table"]["height"] >= least
    assert all(ends[what] <= dock for what in ("#table", ".captions", ".captions .more >> nth=1", "#note")), (
        ends,
        dock,
    )
    assert ends[".answers"] <= height and ends[".desk-top"] <= 64
    assert page.evaluate("[document.documentElement.scrollHeight, document.documentElement.scrollWidth]") == [
        height,
        width,
    ]


@pytest.mark.parametrize("view", [PHONE, {"width": 320, "height": 640}, LAPTOP], ids=["phone", "small phone", "laptop"])
def test_the_desk_never_scrolls_sideways(open_page, view):
    page = open_page(viewport=view)
    page.locator("#filters-open").click()
    page.locator("#pair").focus()
    for _ in range(n_listed(page) - 1):
        assert page.evaluate("document.documentElement.scrollWidth") <= view["width"]
        assert page.evaluate("main.scrollWidth <= main.clientWidth")
        press(page, "ArrowRight")
    box = page.locator('.answer[data-answer="copy"]').bounding_box()
    assert box["y"] + box["height"] <= view["height"], "the answers are always at hand"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("part", ["pair", "filters", "help", "answers", "meanings", "phone", "gone", "overruled"])
def test_axe_finds_no_serious_fault(open_page, desk, scheme, part):
    source = axe_source()
    expects = "Failed to load resource" if part == "gone" else ""
    page = open_page(color_scheme=scheme, viewport=PHONE if part == "phone" else LAPTOP, expects=expects)
    press(page, "c")
    press(page, "ArrowLeft")
    if part in ("filters", "help", "answers", "meanings"):
        page.locator(f"#{part}-open").click()
    if part == "filters":
        page.locator('#filters [name="min_cosine"]').fill("7")
        api.expect(page.locator("#wrong")).to_be_visible()
    if part == "overruled":
        other = open_page()
        press(other, "ArrowLeft")
        page.locator("#note").fill("mine")
        page.locator("#pair").focus()
        other.keyboard.press("n")
        api.expect(page.locator("#said")).to_contain_text(
            "Another window answered this pair: not a copy.", timeout=12_000
        )
    if part == "gone":
        desk.kill()
        page.keyboard.press("n")
        api.expect(page.locator("#gone")).to_be_visible()
    page.evaluate(source)
    assert not serious_faults(page)
