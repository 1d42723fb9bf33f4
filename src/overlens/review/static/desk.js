// The desk: which pair is shown, what a key or a button does, and what is said of it.
import { openAnswers } from "./answers.js";
import { answersText, captionOf, courseText, factsOf, knowRun, labelled, precisionText, rungText, sampleText } from "./facts.js";
import { openFilters } from "./filters.js";
import { listen } from "./keys.js";
import { openList } from "./list.js";
import { openMatches } from "./matches.js";
import { ask, Gone, imageAddress, Refused, session, tell } from "./server.js";
import { openView } from "./view.js";

const POLL_MS = 4000;
const AHEAD = 4; // pairs whose pictures are fetched before they are asked for

const list = openList();
const view = openView(find("#table"), say);
const matches = openMatches(view, say);
let position = -1;
let isBusy = true; // pictures that are not there yet: no key may answer what nobody saw
let isTelling = false; // an answer on its way
let isGone = false;
let newest = ""; // what the last progress said, to notice the answers of other windows
let isSample = false;
const ahead = new Map();

function say(text) { find("#said").textContent = text; }

/** What the counts are on: the whole run, or the sample. */
const scope = () => new URLSearchParams(isSample ? { sample: "1" } : {});
const current = () => list.at(position);

/** Do something that asks the server; tell where that fails. Returns whether it went well. */
async function attempt(work) {
  try {
    await work();
    if (isGone) comeBack();
    return true;
  } catch (error) {
    if (error instanceof Gone) goAway("The server does not answer. Your answers up to here are safe; start overlens review again, then open the address it prints, or try again here.");
    else if (error instanceof Refused && error.status === 403) goAway("The server was started anew. Your answers up to here are safe; open the address that overlens review printed last.");
    else if (error instanceof Refused) say(error.message);
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

function comeBack() {
  isGone = false;
  const hadFocus = find("#gone").contains(document.activeElement);
  find("#gone").hidden = true;
  if (hadFocus) find("#pair").focus();
  say("The server is back.");
}

async function retry() {
  if (position < 0) return start();
  const isBack = await attempt(async () => {
    showProgress(await ask("progress", scope()));
    await list.refresh(position);
  });
  if (isBack) showAnswer();
}

function showProgress(progress) {
  const bar = find("#bar");
  const [n, total] = isSample && progress.sample ? [progress.sample.n_judged, progress.sample.n] : [progress.n_judged, progress.n_pairs];
  bar.max = Math.max(1, total);
  bar.value = n;
  find("#course-says").textContent = courseText(progress);
  const answered = answersText(progress);
  find("#by-answer").textContent = answered ? `: ${answered}` : "";
  find("#precision").textContent = precisionText(progress.precision);
  find("#sample").textContent = isSample && progress.sample ? sampleText(progress.sample) : "";
  find("#sample").hidden = !find("#sample").textContent;
  newest = JSON.stringify(progress);
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
  find("#note").value = "";
  find("#nothing").hidden = true;
  showAnswer();
  const shown = view.show(pair);
  void matches.show(pair);
  await shown;
  if (current() === pair) isBusy = false;
  void prepare();
}

function showAnswer() {
  const pair = current();
  const given = find("#given");
  given.hidden = !pair?.answer;
  given.textContent = pair?.answer ? `Answered: ${pair.answer}` : "";
  if (isSample) find("#evidence").open = Boolean(pair?.answer); // an auditor makes up his mind first
  for (const button of findAll(".answer")) {
    button.setAttribute("aria-pressed", String(button.dataset.answer === pair?.answer));
    setUsable(button, Boolean(pair));
  }
  setUsable(find("#before"), position > 0);
  setUsable(find("#after"), Boolean(pair) && position < list.n - 1);
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
  if (!(await attempt(() => list.reach(from + AHEAD + 1)))) return;
  const rows = [];
  for (let place = from + 1, n = 0; place < list.loaded && n < AHEAD; place += 1) {
    if (list.at(place).answer && place > from + 1) continue;
    rows.push(list.at(place).left.row, list.at(place).right.row);
    n += 1;
  }
  for (const row of ahead.keys()) if (!rows.includes(row)) ahead.delete(row);
  for (const row of rows) {
    if (ahead.has(row)) continue;
    const picture = new Image();
    picture.src = imageAddress(row);
    ahead.set(row, picture);
  }
}

const describe = (pair) => `Pair ${numberText(position + 1)} of ${numberText(list.n)}: ${isSample ? "" : `${rungText(pair.machine)}; `}${labelled(pair.left)} and ${labelled(pair.right)}.`;

async function answer(value) {
  const pair = current();
  if (!pair || isGone || isTelling) return;
  if (isBusy) {
    if (!view.isReady()) say("The pictures are still coming.");
    return;
  }
  const note = find("#note").value.trim();
  isTelling = true;
  const isKept = await attempt(async () => {
    const reply = await tell(`decide?${scope()}`, { id: pair.id, answer: value, session, ...(note ? { note } : {}) });
    list.setAnswer(pair.id, value);
    showProgress(reply.progress);
  });
  if (isKept) await attempt(() => goOn(pair, value));
  else if (isGone) say(`The last answer, ${value}, was not confirmed. Give it again when the server is back.`);
  isTelling = false;
}

/** After an answer: the next pair that nobody has judged, unless someone went on meanwhile. */
async function goOn(pair, value) {
  const next = current() === pair ? await list.nextOpen(position + 1) : -1;
  if (current() !== pair) return;
  if (next >= 0) {
    void show(next);
    return say(`Kept: ${value}. ${describe(current())}`);
  }
  find("#note").value = "";
  showAnswer();
  say(`Kept: ${value}. Every pair of this list is judged.`);
}

async function undo() {
  if (isGone || isTelling) return;
  isTelling = true;
  await attempt(async () => {
    const reply = await tell(`undo?${scope()}`, { session });
    showProgress(reply.progress);
    if (!reply.undone) return say("There is no answer of this window to take back.");
    list.setAnswer(reply.undone, reply.answer);
    const place = await list.find(reply.undone);
    if (place < 0) return say("Taken back. That pair is not among those that fit the filters.");
    void show(place);
    say(`Taken back. ${describe(current())}${reply.answer ? ` The answer before was: ${reply.answer}.` : ""}`);
  });
  isTelling = false;
}

async function step(by) {
  const place = position + by;
  if (position < 0 || place < 0 || place >= list.n) return say(by < 0 ? "This is the first pair." : "This is the last pair.");
  await attempt(async () => {
    await list.reach(place + 1);
    if (place >= list.loaded) return say("This is the last pair.");
    void show(place);
    const given = current().answer;
    say(`${describe(current())}${given ? ` Answered: ${given}.` : ""}`);
  });
}

/** Show the pairs that fit the filters, from the first that nobody has judged. */
async function apply(filters) {
  await attempt(async () => {
    await list.open({ ...filters, ...(isSample ? { sample: "1" } : {}) });
    find("#fitting").textContent = `${countOf(list.n, "pair")} ${list.n === 1 ? "fits" : "fit"}.`;
    if (!list.n) return showNothing("No pair fits these filters.");
    const first = await list.firstOpen();
    void show(Math.max(0, first));
    say(first < 0 ? `All ${countOf(list.n, "pair")} of this list are judged.` : describe(current()));
  });
}

/** Look what other windows did; a server that was gone may be back. */
async function poll() {
  if (document.hidden || isBusy || isTelling || position < 0) return;
  await attempt(async () => {
    const progress = await ask("progress", scope());
    if (JSON.stringify(progress) === newest || isTelling) return;
    showProgress(progress);
    const pair = current();
    const before = pair.answer;
    await list.refresh(position);
    if (current() !== pair || pair.answer === before) return;
    showAnswer();
    say(pair.answer ? `Another window answered this pair: ${pair.answer}.` : "Another window took back the answer to this pair.");
  });
}

async function start() {
  await attempt(async () => {
    const run = await ask("run");
    knowRun(run);
    isSample = Boolean(run.sample);
    document.title = `${cleanText(run.title)}: review desk`;
    showProgress(await ask("progress", scope()));
    const filters = openFilters(run, apply);
    if (!run.n_pairs) return showNothing("This run lists no pair to judge.");
    await apply(filters());
  });
}

for (const button of findAll(".answer")) button.addEventListener("click", () => isUsable(button) && answer(button.dataset.answer));
find("#undo").addEventListener("click", undo);
find("#before").addEventListener("click", () => step(-1));
find("#after").addEventListener("click", () => step(1));
find("#retry").addEventListener("click", retry);
openAnswers(attempt, async () => {
  showProgress(await ask("progress", scope()));
  if (position >= 0) await list.refresh(position);
  showAnswer();
});
listen({ answer, undo, step, view, matches });
setInterval(poll, POLL_MS);
await start();
