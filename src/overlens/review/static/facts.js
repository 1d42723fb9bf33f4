// What is said of a pair and of the work so far, in words.

let rungs = new Map();
let colours = new Map();
let nListed = 0;
const REFUTED = { name: "refuted", meaning: "the pixels were compared, and nothing says copy" }; // no rung of the ladder

/** What the server takes, and how large its small pictures are. */
export let limits = {};

/** Keep what the words need of the run. */
export function knowRun(run) {
  limits = run.limits;
  nListed = run.n_pairs;
  rungs = new Map(run.rungs.map(([code, name, meaning, isCopy], place) => [code, { name, meaning, isCopy, place }]));
  colours = new Map(run.datasets.map((dataset) => [dataset.name, dataset.colour]));
}

export const rungText = (code) => (rungs.get(code) ?? (code === "refuted" ? REFUTED : null))?.name ?? code.replaceAll("_", " ");
export const labelled = (image) => `${cleanText(image.name)} of ${cleanText(image.dataset)}`;

/** Name, dataset, label and size of an image. */
export function captionOf(side, image) {
  const dot = make("span", { class: "dot", "aria-hidden": "true" });
  dot.style.setProperty("--dot", colours.get(image.dataset) ?? "currentColor");
  const more = [image.label ? named(image.label) : null, image.width ? `${image.width} × ${image.height}` : null].filter(Boolean);
  return make(
    "div", {},
    make("p", { class: "name" }, make("span", { class: "unseen" }, `${side}: `), make("span", { dir: "auto", title: cleanText(image.name) }, cleanText(image.name))),
    make("p", { class: "more" }, dot, named(image.dataset), ...more.flatMap((part) => [" · ", part])),
  );
}

/** The verdict of the program, its words, and the numbers it rests on. */
export function factsOf(pair) {
  const rung = rungs.get(pair.machine);
  const meaning = rung?.meaning ?? (pair.machine === "refuted" ? REFUTED.meaning : "");
  const how = rung?.isCopy ? "The right one, beside the left: " : "The best way found to lay them on one another, which did not convince: ";
  const steps = make("span", { class: "steps", "aria-hidden": "true" });
  for (let step = 0; rung && step < rungs.size; step += 1) steps.append(make("i", { class: step < rungs.size - rung.place ? "on" : "" }));
  const rows = [...pair.evidence];
  if (Number.isFinite(pair.strength)) rows.push(["sureness within its rung", pair.strength.toFixed(2)]);
  const body = make("tbody", {}, ...rows.map(([what, value]) => make("tr", {}, make("th", { scope: "row" }, named(String(what))), make("td", { class: "number" }, named(String(value))))));
  return make(
    "div", {},
    make("p", { class: "rung" }, rung ? steps : null, rungText(pair.machine)),
    meaning ? make("p", { class: "meaning" }, meaning) : null,
    pair.words ? make("p", { class: "words" }, make("span", { class: "meaning" }, how), cleanText(pair.words)) : null,
    rows.length ? make("table", { class: "data" }, make("caption", { class: "unseen" }, "Evidence"), body) : null,
  );
}

/** How far the work has come: "34 of 75 pairs judged"; "pairs of files" where equal ones are listed several times. */
export const courseText = (progress, isSample) => `${numberText(progress.n_judged)} of ${countOf(progress.n_pairs, "pair")}${isSample || progress.n_pairs === nListed ? "" : " of files"} judged`;

/** What was answered: "20 copies, 9 not, 5 unsure". */
export function answersText(progress) {
  const { copy = 0, "not a copy": not = 0, "same scene": scene = 0, unsure = 0 } = progress.by_answer ?? {};
  return [
    copy ? `${numberText(copy)} ${copy === 1 ? "copy" : "copies"}` : "",
    not ? `${numberText(not)} not` : "",
    scene ? `${numberText(scene)} same scene` : "",
    unsure ? `${numberText(unsure)} unsure` : "",
  ].filter(Boolean).join(", ");
}

const percent = (share) => shareText(share).replace(/^0$/, "0 %").replace(" ", "\u00a0");

/** The share of copies among the verified pairs judged so far: of these pairs, not of the run. */
export function precisionText(precision) {
  if (!precision || !precision.n) return "No verified pair is judged yet.";
  const { n_copies: copies, n, share, low, high } = precision;
  const are = copies === 1 ? "is a copy" : "are copies";
  return `Of ${countOf(n, "verified pair")} judged so far, ${numberText(copies)} ${are}: ${percent(share)} (${whole(low)} to ${whole(high)}\u00a0%)`;
}

const whole = (share) => String(Math.round(100 * share));

/** What counts after an answer was taken back. */
export const countsText = (answer) => (answer ? `Now counts: ${answer}.` : "Now nobody's answer counts.");

/** What an audit sample is for, and what it tells so far. */
export function sampleText(sample) {
  const name = sample.name ? ` “${cleanText(String(sample.name))}”` : "";
  const rest = sample.n - sample.n_judged;
  const late = sample.n_judged - sample.n_counted;
  const todo = rest > 0 ? `judge the pairs as they come, the dull ones too; ${numberText(rest)} of ${numberText(sample.n)} to go.` : `all of ${countOf(sample.n, "pair")} judged. Run overlens report, and it states the estimate.`;
  const gaps = late > 0 ? ` ${countOf(late, "answer")} ${late === 1 ? "does" : "do"} not count yet: a sample counts from its beginning, without gaps.` : "";
  const estimate = Number.isFinite(sample.estimate) ? ` So far: ${estimateText(sample)} with 95 % confidence.` : " There is no estimate before every stratum has an answer that counts.";
  return `Audit sample${name}: ${todo}${gaps}${estimate}`;
}

/** The estimates of several datasets, one item each; none where there is one dataset, or no estimate. */
export function sampleParts(sample) {
  const told = sample.datasets.length > 1 ? sample.datasets.filter((part) => Number.isFinite(part.estimate)) : [];
  return told.map((part) => make("li", {}, named(part.name), `: ${estimateText({ ...part, what: "" })}`));
}

function estimateText({ estimate, low, high, n_images: n, what }) {
  const [about, least, most] = [estimate, low, high].map((value) => numberText(Math.round(value)));
  return `about ${about} of ${countOf(n, "image")}${what && ` ${what}`}, ${least} to ${most}`;
}
