// The desk: which pair is shown, what a key or a button does, and what is said of it.
import { openAnswers, sizeText } from "./answers.js";
import { answersText, captionOf, countsText, courseText, factsOf, factText, knowRun, labelled, limits, PRECISION_HELP, precisionText, rungText, sampleHead, sampleParts, sampleText } from "./facts.js";
import { openFilters } from "./filters.js";
import { listen } from "./keys.js";
import { openList } from "./list.js";
import { openMatches } from "./matches.js";
import { openNotes } from "./notes.js";
import { ask, Gone, imageAddress, Refused, session, tell } from "./server.js";
import { openView } from "./view.js";

const POLL_MS = 4000;
const AHEAD = 4; // pairs whose pictures are fetched before they are asked for

const list = openList();
const notes = openNotes();
const view = openView(find("#table"), say);
const matches = openMatches(view, say);
let position = -1;
let isBusy = true; // pictures that are not there yet: no key may answer what nobody saw
let isTelling = false; // something on its way that changes what counts
let isGone = false;
let unconfirmed = null; // what was told last, where it is not known whether it was heard
let version = ""; // of what everybody said, to notice the answers of other windows
let seen = 0; // number of the answer that stands on the page for the shown pair
let isSample = false;
const opened = new Set(); // pairs whose evidence was open to see
const own = []; // answers of this window that it did not take back, with their numbers
const ahead = new Map();

function say(text, isUrgent = false) {
  find("#said").textContent = text;
  find("#said").toggleAttribute("data-urgent", isUrgent);
}

/** What the counts are on: the whole run, or the sample. */
const scope = () => new URLSearchParams(isSample ? { sample: "1" } : {});
const current = () => list.at(position);

/** Do something that asks the server; tell where that fails. Returns whether it went well. */
async function attempt(work) {
  try {
    await work();
    if (isGone) await comeBack();
    return true;
  } catch (error) {
    if (error instanceof Gone) goAway("The server does not answer. Your answers up to here are safe; start overlens review again, then open the address it prints, or try again here.");
    else if (error instanceof Refused && error.status === 403) goAway("The server was started anew. Your answers up to here are safe; open the address that overlens review printed last.");
    else if (error instanceof Refused && error.status >= 500) fail(error.message);
    else if (error instanceof Refused) say(error.message, true);
    else throw error;
    return false;
  }
}

function goAway(text) {
  isGone = true;
  if (find("#gone").hidden || find("#gone-says").textContent !== text) {
    find("#gone").hidden = false;
    find("#gone-says").textContent = text;
  }
}

/** The server is there and cannot do it: a full disk, a folder that became read-only. */
function fail(text) {
  const says = `The server could not do this: ${cleanText(text)}`;
  if (!find("#failed").hidden && find("#failed-says").textContent === says) return; // said once, not at every look
  find("#failed-says").textContent = says;
  find("#failed").hidden = false;
}

function closeFailure() {
  const hadFocus = find("#failed").contains(document.activeElement);
  find("#failed").hidden = true;
  if (hadFocus) find("#pair").focus();
}

async function comeBack() {
  if (isTelling) return; // what is not settled yet is being looked at
  isTelling = true;
  let told = "";
  try {
    if (unconfirmed) told = await settle(unconfirmed);
  } finally {
    isTelling = false;
  }
  [isGone, unconfirmed] = [false, null];
  const hadFocus = find("#gone").contains(document.activeElement);
  find("#gone").hidden = true;
  if (hadFocus) find("#pair").focus();
  showAnswer();
  say(`The server is back.${told}`, Boolean(told));
}

/** Look what became of something that was told and not confirmed, before it is told again. */
async function settle({ id, number, answer: value }) {
  list.age();
  const place = id ? await list.find(id, position) : -1;
  if (place < 0) return " Whether the last answer was taken back is not known here: look before you take back another.";
  await list.look(place);
  if (place !== position) void show(place);
  const pair = current();
  if (!value) return pair.number === number ? " That answer was not taken back: it still counts." : ` That answer does not count any more. ${countsText(pair.answer)}`;
  if (pair.number === number || pair.answer !== value) return ` Your answer, ${value}, was not kept: give it again.`;
  own.push({ id, number: pair.number });
  return ` Your answer counts: ${value}.`;
}

async function retry() {
  if (position < 0) return start();
  await attempt(lookAround);
}

/** Learn what everybody said by now. */
async function lookAround() {
  showProgress(await ask("progress", scope()));
  if (position >= 0) await list.look(position);
}

function showProgress(progress) {
  if (progress.version === version) return;
  version = progress.version;
  list.age();
  const bar = find("#bar");
  const sample = isSample ? progress.sample : null;
  const [n, total] = sample ? [sample.n_judged, sample.n] : [progress.n_judged, progress.n_pairs];
  bar.max = Math.max(1, total);
  bar.value = n;
  find("#course-says").textContent = courseText(progress, isSample);
  const answered = answersText(progress);
  find("#by-answer").textContent = answered ? `: ${answered}` : "";
  find("#course").title = `${find("#course").textContent}. Equal files that are listed several times count once.`;
  find("#precision").textContent = precisionText(progress.precision);
  find("#precision").title = `${find("#precision").textContent}. ${PRECISION_HELP}`.replace("..", ".");
  find("#sample").hidden = !sample;
  if (!sample) return;
  const parts = sampleParts(sample);
  find("#sample-head").textContent = sampleHead(sample);
  find("#sample-says").textContent = sampleText(sample);
  find("#sample-parts").replaceChildren(...parts);
  find("#sample-parts").hidden = !parts.length;
}

/** Show the pair at a place of the list; resolves when its pictures are there. */
async function show(place) {
  position = place;
  isBusy = true;
  const pair = current();
  find("#pair").textContent = `Pair ${numberText(position + 1)} of ${numberText(list.n)}`;
  find("#caption-left").replaceChildren(captionOf("Left", pair.left));
  find("#caption-right").replaceChildren(captionOf("Right", pair.right));
  find("#facts").replaceChildren(factsOf(pair));
  find("#nothing").hidden = true;
  for (const place of ["#main", "#evidence"]) find(place).scrollTop = 0; // the pictures first
  showAnswer();
  const shown = view.show(pair);
  void matches.show(pair);
  await shown;
  if (current() === pair) isBusy = false;
  void prepare();
}

/** Show what counts on the pair. */
function showAnswer() {
  const pair = current();
  const hadFocus = document.activeElement === find("#take-back");
  seen = pair?.number ?? 0;
  find("#given").hidden = !pair?.answer;
  find("#given-says").textContent = pair?.answer ? `Answered: ${pair.answer}` : "";
  find("#given-fact").textContent = factText(pair);
  find("#given-fact").hidden = !factText(pair);
  if (hadFocus && !pair?.answer) find("#pair").focus();
  notes.show(pair);
  if (isSample) find("#evidence").open = Boolean(pair?.answer); // an auditor makes up his mind first
  noteOpened();
  for (const button of findAll(".answer")) {
    button.setAttribute("aria-pressed", String(button.dataset.answer === pair?.answer));
    setUsable(button, Boolean(pair));
  }
  setUsable(find("#before"), position > 0);
  setUsable(find("#after"), Boolean(pair) && position < list.n - 1);
}

function noteOpened() {
  if (current() && find("#evidence").open) opened.add(current().id);
}

// A button that is not of use now keeps the focus, so that whoever walks by keyboard is not thrown out of the row.
const setUsable = (button, isUsable) => button.setAttribute("aria-disabled", String(!isUsable));
const isUsable = (button) => button.getAttribute("aria-disabled") !== "true";

function showNothing(text) {
  position = -1;
  isBusy = true;
  for (const place of ["#caption-left", "#caption-right", "#facts"]) find(place).replaceChildren();
  find("#pair").textContent = "No pair";
  find("#nothing").textContent = text;
  find("#nothing").hidden = false;
  view.clear();
  matches.clear();
  showAnswer();
  say(text);
}

/** Fetch the pictures of the pairs that come next, and forget those of long ago. */
async function prepare() {
  const from = position;
  const rows = [];
  const isThere = await attempt(async () => {
    for (let place = from + 1; place < Math.min(list.n, from + 1 + 3 * AHEAD) && rows.length < 2 * AHEAD; place += 1) {
      await list.reach(place);
      const pair = list.at(place);
      if (pair && (!pair.answer || place === from + 1)) rows.push(pair.left.row, pair.right.row);
    }
  });
  if (!isThere || position !== from) return;
  for (const row of ahead.keys()) if (!rows.includes(row)) ahead.delete(row);
  for (const row of rows) {
    if (ahead.has(row)) continue;
    const picture = new Image();
    picture.src = imageAddress(row);
    ahead.set(row, picture);
  }
}

const describe = (pair) => `Pair ${numberText(position + 1)} of ${numberText(list.n)}: ${isSample ? "" : `${rungText(pair.machine)}; `}${labelled(pair.left)} and ${labelled(pair.right)}.`;

/** Tell the server what changes what counts, one thing at a time; `told` is what is to be settled if it does not answer. */
async function change(told, words, work) {
  if (isGone || isTelling) return;
  isTelling = true;
  closeFailure(); // if it fails again, it is said again
  try {
    unconfirmed = told;
    const isHeard = await attempt(work);
    if (!isHeard && isGone && unconfirmed) say(words, true);
    if (!isGone) unconfirmed = null;
  } finally {
    isTelling = false;
  }
}

/** Tell it; where somebody else was faster, show what counts now instead, and return null. */
async function tellOr(path, content, place, words) {
  const pair = list.at(place);
  try {
    const reply = await tell(`${path}?${scope()}`, { session, ...content });
    unconfirmed = null;
    showProgress(reply.progress);
    return reply;
  } catch (error) {
    if (error instanceof Refused && error.status >= 500) await lookAfterFailure(place);
    if (!(error instanceof Refused) || error.status !== 409 || !pair) throw error;
    unconfirmed = null;
    list.age();
    list.put(pair.id, { ...error.counts, note: "" });
    if (list.at(place) === pair && current() !== pair) void show(place);
    try {
      showProgress(await ask("progress", scope()));
      await list.look(place); // with its note
    } finally {
      showAnswer();
      say(words(error.counts.answer), true);
    }
    return null;
  }
}

/** A server that fails may have kept what it was told before it did: show what counts. */
async function lookAfterFailure(place) {
  unconfirmed = null;
  say("");
  list.age();
  try { await list.look(place); } catch { /* it cannot be read either, which the banner says */ }
  showAnswer();
}

async function answer(value) {
  const [pair, place, note] = [current(), position, notes.text()];
  if (!pair) return;
  if (isBusy) {
    if (!view.isReady()) say("The pictures are still coming.");
    return;
  }
  const told = { id: pair.id, number: seen, answer: value };
  await change(told, `The last answer, ${value}, was not confirmed. Give it again when the server is back.`, async () => {
    const content = { id: pair.id, left: pair.left.row, answer: value, seen, open: opened.has(pair.id), note };
    const reply = await tellOr("decide", content, place, (other) =>
      other
        ? `Not kept: another window answered this pair meanwhile: ${other}. Answer again to replace that, or go on.`
        : "Not kept: another window took back the answer that stood here. Answer again if yours is to count.");
    if (!reply) return;
    own.push({ id: pair.id, number: reply.number });
    notes.sent(pair.id, note);
    list.put(pair.id, { answer: value, note, number: (seen = reply.number) });
    await goOn(pair, value);
  });
}

/** After an answer: the next pair that nobody has judged, unless someone went on meanwhile. */
async function goOn(pair, value) {
  const next = current() === pair ? await placeAfter() : -1;
  if (current() !== pair) return;
  const fact = factText(pair);
  const kept = `Kept: ${value}.${fact && ` ${fact}`}`;
  if (next >= 0) {
    void show(next);
    return say(`${kept} ${describe(current())}`, Boolean(fact));
  }
  showAnswer();
  say(`${kept} ${list.isJudged ? "This was the last pair of this list." : "Every pair of this list is judged."}`, Boolean(fact));
}

/** The next pair that nobody has judged; in a list of judged ones simply the next. */
async function placeAfter() {
  if (!list.isJudged) return list.nextOpen(position + 1);
  await list.look(position + 1);
  return list.at(position + 1) ? position + 1 : -1;
}

/** Take back the last answer of this window. */
const undo = () => retract({}, own.at(-1) ?? {});

/** Take back the answer that counts on the shown pair, whoever gave it. */
const takeBack = () => (current()?.answer ? retract({ number: seen }, { id: current().id, number: seen }) : undefined);

async function retract(content, told) {
  const place = position;
  await change(told, "It is not known whether the answer was taken back: the server did not confirm it.", async () => {
    const reply = await tellOr("undo", content, place, (other) => `That answer does not count any more: another window was faster. ${countsText(other)}`);
    if (!reply) return;
    if (!reply.undone) return say("There is no answer of this window to take back.");
    const last = own.findLastIndex((one) => one.id === reply.undone);
    if (last >= 0) own.splice(last, 1);
    notes.takenBack(reply.undone);
    list.put(reply.undone, { answer: reply.answer, number: reply.number, note: "" });
    const found = await list.find(reply.undone, position);
    if (found < 0) return say(`Taken back. ${countsText(reply.answer)} That pair is not among those that fit the filters.`);
    await list.look(found); // with the note of what counts now
    if (found === position) showAnswer();
    else void show(found);
    say(`Taken back. ${countsText(reply.answer)} ${describe(current())}`);
  });
}

async function step(by) {
  const place = position + by;
  if (position < 0 || place < 0 || place >= list.n) return say(by < 0 ? "This is the first pair." : "This is the last pair.");
  const from = current();
  await attempt(async () => {
    await list.look(place);
    if (current() !== from) return; // someone went on meanwhile
    if (!list.at(place)) return say("This is the last pair.");
    void show(place);
    const given = current().answer;
    say(`${describe(current())}${given ? ` Answered: ${given}.` : ""}`);
  });
}

/** Show the pairs that fit the filters, from the first that nobody has judged; whether that went well. */
async function apply(filters) {
  return attempt(async () => {
    if (!(await list.open({ ...filters, ...(isSample ? { sample: "1" } : {}) }))) return;
    find("#fitting").textContent = `${countOf(list.n, "pair")} ${list.n === 1 ? "fits" : "fit"}.`;
    if (!list.n) return showNothing("No pair fits these filters.");
    const first = list.firstOpen;
    await list.look(Math.max(0, first));
    void show(Math.max(0, first));
    say(first < 0 && !list.isJudged ? `All ${countOf(list.n, "pair")} of this list are judged.` : describe(current()));
  });
}

/** Look what other windows did; a server that was gone may be back. */
async function poll() {
  if (document.hidden || isBusy || isTelling || position < 0) return;
  await attempt(async () => {
    const pair = current();
    await lookAround();
    if (isTelling || current() !== pair || pair.number === seen) return;
    showAnswer();
    say(pair.answer ? `Another window answered this pair: ${pair.answer}.` : "Another window took back the answer to this pair.", true);
  });
}

async function start() {
  await attempt(async () => {
    const run = await ask("run");
    knowRun(run);
    isSample = Boolean(run.sample);
    find("#sample").open = !matchMedia("(max-height: 30rem), (max-width: 46rem)").matches; // where room is short, on demand
    document.title = `${cleanText(run.title)}: review desk`;
    find("#note").maxLength = limits.note;
    find("#import-most").textContent = sizeText(limits.import_bytes);
    showProgress(await ask("progress", scope()));
    const filters = openFilters(run, apply);
    if (!run.n_pairs) return showNothing("This run lists no pair to judge.");
    await apply(filters());
  });
}

for (const button of findAll(".answer")) button.addEventListener("click", () => isUsable(button) && answer(button.dataset.answer));
find("#undo").addEventListener("click", undo);
find("#take-back").addEventListener("click", takeBack);
find("#before").addEventListener("click", () => step(-1));
find("#after").addEventListener("click", () => step(1));
find("#evidence").addEventListener("toggle", noteOpened);
find("#retry").addEventListener("click", retry);
find("#failed-close").addEventListener("click", closeFailure);
openAnswers(attempt, async () => {
  await lookAround();
  showAnswer();
});
listen({ answer, undo, step, view, matches });
document.addEventListener("visibilitychange", poll);
setInterval(poll, POLL_MS);
await start();
