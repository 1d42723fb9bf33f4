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

/** Name, dataset, size and label of an image; where room is short, the label is cut. */
export function captionOf(side, image) {
  const dot = make("span", { class: "dot", "aria-hidden": "true" });
  dot.style.setProperty("--dot", colours.get(image.dataset) ?? "currentColor");
  const more = [image.width ? `${image.width} × ${image.height}` : null, image.label ? named(image.label) : null].filter(Boolean);
  return make(
    "div", {},
    make("p", { class: "name" }, make("span", { class: "unseen" }, `${side}: `), make("span", { dir: "auto", title: cleanText(image.name) }, cleanText(image.name))),
    make("p", { class: "more", title: cleanText([image.dataset, image.label].filter(Boolean).join(" · ")) }, dot, named(image.dataset), ...more.flatMap((part) => [" · ", part])),
  );
}

/** The verdict of the program, its words, and the numbers it rests on. */
export function factsOf(pair) {
  const rung = rungs.get(pair.machine);
  const meaning = rung?.meaning ?? (pair.machine === "refuted" ? REFUTED.meaning : "");
  const how = !pair.transform ? "" : rung?.isCopy ? "Compared with the left one, the right one is: " : "If it were a copy, the right one would be: ";
  const doubt = pair.transform && !rung?.isCopy ? make("span", { class: "meaning" }, ". The pixels do not fit well enough for that.") : null;
  const steps = make("span", { class: "steps", "aria-hidden": "true" });
  for (let step = 0; rung && step < rungs.size; step += 1) steps.append(make("i", { class: step < rungs.size - rung.place ? "on" : "" }));
  const rows = [...pair.evidence];
  if (Number.isFinite(pair.strength)) rows.push(["how sure, within this rung (0 to 1)", pair.strength.toFixed(2)]);
  const body = make("tbody", {}, ...rows.map(([what, value]) => make("tr", {}, make("th", { scope: "row" }, named(String(what))), make("td", { class: "number" }, named(String(value))))));
  return make(
    "div", {},
    make("p", { class: "rung" }, rung ? steps : null, rungText(pair.machine)),
    meaning ? make("p", { class: "meaning" }, meaning) : null,
    pair.words ? make("p", { class: "words" }, make("span", { class: "meaning" }, how), cleanText(pair.words), doubt) : null,
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

/** The share of copies among the verified pairs judged by now: of these pairs, not of the run. */
export function precisionText(precision) {
  if (!precision || !precision.n) return "No verified pair is judged yet.";
  const { n_copies: copies, n, share, low, high } = precision;
  const are = copies === 1 ? "is a copy" : "are copies";
  return `Of ${numberText(n)} verified judged, ${numberText(copies)} ${are}: ${percent(share)} (${whole(low)} to ${whole(high)}\u00a0%)`;
}

export const PRECISION_HELP = "Verified pairs are those that the program takes for copies; in brackets the 95 % interval. The doubtful pairs come first, so this is the share among the pairs judged so far and no estimate for the run. An audit sample gives one: overlens review RESULTS --sample 200";

/** What an answer cannot change: equal files and equal pixels are a fact. "" where it can. */
export function factText(pair) {
  if (!["not a copy", "same scene"].includes(pair?.answer)) return "";
  const equal = { same_bytes: "The files are equal", same_pixels: "The pixels are equal" }[pair.machine];
  return equal ? `${equal}, which is a fact: this answer is kept, and changes nothing in the results.` : "";
}

const whole = (share) => String(Math.round(100 * share));

/** What counts after an answer was taken back. */
export const countsText = (answer) => (answer ? `Now counts: ${answer}.` : "Now nobody's answer counts.");

/** How far the sample has come. */
export function sampleHead(sample) {
  const name = sample.name ? ` “${cleanText(String(sample.name))}”` : "";
  const rest = sample.n - sample.n_judged;
  return `Audit sample${name}: ${rest > 0 ? `${numberText(rest)} of ${countOf(sample.n, "pair")} to go.` : `all ${countOf(sample.n, "pair")} judged.`}`;
}

/** What an audit sample is for, and what it tells by now. */
export function sampleText(sample) {
  const isDone = sample.n_judged >= sample.n;
  const late = sample.n_judged - sample.n_counted;
  const hasEstimate = Number.isFinite(sample.estimate);
  return [
    drawnText(sample),
    isDone ? "" : "Judge the pairs as they come, the dull ones too.",
    late > 0 ? `${countOf(late, "answer")} ${late === 1 ? "does" : "do"} not count yet: a sample counts from its beginning, without gaps. Go on in its order.` : "",
    hasEstimate ? `${isDone ? "It says" : "So far"}: ${estimateText(sample)} with 95 % confidence.` : "There is no estimate before every stratum has an answer that counts.",
    isDone ? "Run overlens report, which states it." : "",
  ].filter(Boolean).join(" ");
}

/** How many images were drawn; its name begins with the size that was asked for. Equal files and pixels are not drawn. */
function drawnText(sample) {
  const [asked, there] = [Number.parseInt(sample.name, 10), sample.n_population - sample.n_certain];
  const drawn = Number.isFinite(asked) ? Math.min(asked, there) : there;
  const images = drawn === there ? `All ${countOf(there, "image")} there ${there === 1 ? "is" : "are"} to draw were drawn` : `${countOf(drawn, "image")} drawn`;
  return `${images}, which ${drawn === 1 ? "stands" : "stand"} for ${countOf(sample.n, "pair")}.`;
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
