// What is said of a pair and of the work so far, in words.

let rungs = new Map();
let colours = new Map();
const REFUTED = { name: "refuted", meaning: "the pixels were compared, and nothing says copy" }; // no rung of the ladder
const SURE_STEPS = ["same_bytes", "same_pixels", "same_picture", "edited"];

/** Keep what the words need of the run. */
export function knowRun(run) {
  rungs = new Map(run.rungs.map(([code, name, meaning], place) => [code, { name, meaning, place }]));
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
  const how = SURE_STEPS.includes(pair.machine) ? "The right one, beside the left: " : "The best way found to lay them on one another, which did not convince: ";
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

/** How far the work has come: "34 of 75 pairs judged". */
export const courseText = (progress) => `${numberText(progress.n_judged)} of ${countOf(progress.n_pairs, "pair")} judged`;

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

/** How often the program was right when it said "copy", with the interval in which the true share lies. */
export function precisionText(precision) {
  if (!precision || !precision.n) return "No verified pair is judged yet.";
  const { n_copies: copies, n, share, low, high } = precision;
  const of = n === 1 ? "1 judged verified pair is a copy" : `${numberText(n)} judged verified pairs are copies`;
  return `${numberText(copies)} of ${of}: ${percent(share)}, ${whole(low)} to ${whole(high)}\u00a0%`;
}

const whole = (share) => String(Math.round(100 * share));

/** What an audit sample is for, and what it tells so far. */
export function sampleText(sample) {
  const name = sample.name ? ` “${cleanText(String(sample.name))}”` : "";
  const rest = sample.n - sample.n_judged;
  const todo = rest > 0 ? `Judge them as they come, the dull ones too; ${countOf(rest, "pair")} to go.` : "All are judged: run overlens report, and it states the estimate.";
  return `Audit sample${name}: ${numberText(sample.n_judged)} of ${countOf(sample.n, "pair")} judged. ${todo} ${estimateText(sample)}`;
}

function estimateText({ estimate, low, high, n_images: n, what = "with a copy" }) {
  if (!Number.isFinite(estimate)) return "There is no estimate before every stratum has an answer.";
  const [about, least, most] = [estimate, low, high].map((value) => numberText(Math.round(value)));
  return `So far: about ${about} of ${countOf(n, "image")} ${what}, ${least} to ${most} with 95 % confidence.`;
}
