// The data of the page, read once: columns of images and pairs, and what is asked of one of them.
"use strict";

const data = JSON.parse(find("#data").textContent);
const images = data.images;
const pairs = data.pairs;
const rungPlaces = new Map(data.rungs.map((rung, place) => [rung.code, place]));

const imageName = (image) => images.name[image];
const datasetOf = (image) => data.datasets[images.dataset[image]];
const labelOf = (image) => (images.label[image] < 0 ? "" : images.labelNames[images.label[image]]);
const pictureOf = (image) => (images.thumbnail[image] < 0 ? "" : images.pictures[images.thumbnail[image]]);
const rungName = (code) => data.rungs[rungPlaces.get(code)]?.name ?? code.replaceAll("_", " ");

/** What is known of one pair, in words and numbers. */
function pairAt(place) {
  const texts = pairs.evidence[place].map((text) => pairs.texts[text]);
  return {
    place,
    left: pairs.left[place],
    right: pairs.right[place],
    rung: pairs.rung[place],
    cosine: pairs.cosine[place],
    bits: pairs.bits[place],
    words: pairs.texts[pairs.words[place]],
    judged: pairs.texts[pairs.judged[place]],
    evidence: Array.from({ length: texts.length / 2 }, (_, row) => [texts[2 * row], texts[2 * row + 1]]),
    transform: pairs.transform[place],
  };
}

/** The scores of a pair in words. */
function scoresOf(pair) {
  const scores = [];
  if (pair.cosine !== null) scores.push(`cosine ${pair.cosine.toFixed(3)}`);
  if (pair.bits !== null) scores.push(`${countOf(pair.bits, "bit")} apart`);
  return scores.join(" · ");
}

// The button that copies the command; a page from disk may not be allowed to, and then the command is selected.
find("#copy").addEventListener("click", async () => {
  const command = find("#command");
  try {
    await navigator.clipboard.writeText(command.textContent);
    find("#copied").textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(command);
    find("#copied").textContent = "Selected: press Ctrl+C or ⌘C to copy it.";
  }
});
