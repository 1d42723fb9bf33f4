// Two pictures compared: side by side, or the right one laid onto the left one and swiped, flickered or subtracted.
"use strict";

const FLICKER_MS = 700; // one change in 0.7 s is below two flashes in a second, far from what may harm
const MODE_WORDS = {
  side: "",
  swipe: "Drag, or use the arrow keys: left of the line the left picture, right of it the right one.",
  flicker: "What changes between the two pictures moves. Press a pair to stop it and turn it by hand.",
  difference: "Black where both are equal; outside of the smaller one, the other shows as it is.",
};
const SAME_SHAPE = ["same_bytes", "same_pixels"];
const stillWanted = matchMedia("(prefers-reduced-motion: reduce)");

/** How the right picture lies on the left one, as shares of width and height, or null where that is not known. */
function layOf(pair) {
  if (!pictureOf(pair.left) || !pictureOf(pair.right)) return null;
  if (pair.transform) return invert(pair.transform);
  return SAME_SHAPE.includes(pair.rung) ? [1, 0, 0, 0, 1, 0, 0, 0, 1] : null;
}

/** The inverse of a matrix of nine numbers, row by row, up to its scale; null where there is none. */
function invert([a, b, c, d, e, f, g, h, i]) {
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  if (!Number.isFinite(determinant) || Math.abs(determinant) < 1e-12) return null;
  const adjugate = [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f, d * h - e * g, b * g - a * h, a * e - b * d];
  return adjugate.map((value) => value / determinant);
}

/** The same map for a frame in pixels, as CSS writes it: by columns, with a third axis that stays. */
function matrix3d([a, b, c, d, e, f, g, h, i], width, height) {
  const values = [a, (d * height) / width, 0, g / width, (b * width) / height, e, 0, h / height, 0, 0, 1, 0, c * width, f * height, 0, i];
  return `matrix3d(${values.map((value) => Number(value.toPrecision(9))).join(",")})`;
}

/** The pair compared in one of the modes; pairs that do not lie on one another stay side by side and say so. */
function comparison(pair, mode) {
  const lay = mode === "side" ? null : layOf(pair);
  if (lay) return stage(pair, mode, lay);
  const sides = make("div", { class: "sides" }, frame(pair.left), frame(pair.right));
  return mode === "side" ? sides : make("div", {}, sides, make("p", { class: "aside" }, "These two were not laid on one another."));
}

function frame(image) {
  const address = pictureOf(image);
  const content = address ? make("img", { src: address, alt: "", decoding: "async" }) : make("span", { class: "none" }, "no picture here");
  return make("div", { class: "frame" }, content);
}

function stage(pair, mode, lay) {
  const under = make("img", { src: pictureOf(pair.left), alt: "", draggable: "false" });
  const right = make("img", { src: pictureOf(pair.right), alt: "", draggable: "false" });
  const box = make("div", { class: "stage", "data-mode": mode }, under, make("div", { class: "over" }, right));
  const outer = make("div", { class: "stage-frame" }, box);
  box.fit = () => {
    const tall = outer.clientHeight || 176;
    const room = outer.clientWidth;
    const known = images.width[pair.left] > 0 && images.height[pair.left] > 0;
    const shape = known ? images.width[pair.left] / images.height[pair.left] : under.naturalWidth / under.naturalHeight || 1;
    const width = Math.min(room, tall * shape);
    box.style.width = `${width}px`;
    box.style.height = `${width / shape}px`;
    right.style.transform = matrix3d(lay, width, width / shape);
  };
  under.addEventListener("load", box.fit);
  sizes.observe(outer);
  if (mode === "swipe") addSwipe(box);
  if (mode === "flicker") addFlicker(box);
  return outer;
}

const sizes = new ResizeObserver((entries) => entries.forEach((entry) => entry.target.firstChild?.fit?.()));

function addSwipe(box) {
  const slider = make("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Line between the left and the right picture" });
  slider.addEventListener("input", () => {
    box.style.setProperty("--at", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `left picture up to ${slider.value} %`);
  });
  slider.setAttribute("aria-valuetext", "left picture up to 50 %");
  box.append(slider);
}

function addFlicker(box) {
  const tag = make("span", { class: "tag" }, "left");
  const turn = make("button", { type: "button", class: "turn", "aria-label": "Stop, and turn by hand" });
  box.turn = () => { tag.textContent = box.classList.toggle("turned") ? "right" : "left"; };
  turn.addEventListener("click", () => {
    box.dataset.still = "";
    turn.setAttribute("aria-label", "Turn to the other picture");
    box.turn();
  });
  box.append(tag, turn);
}

// One clock for all pairs; it does nothing where someone asked for less motion, nor for pairs that were stopped.
setInterval(() => {
  if (stillWanted.matches) return;
  findAll('.stage[data-mode="flicker"]:not([data-still])').forEach((box) => box.turn());
}, FLICKER_MS);

/** Name, dataset, label and size of both images of a pair. */
function namesOf(pair) {
  const one = (image) => {
    const more = [labelOf(image) ? named(labelOf(image)) : null, images.width[image] ? `${images.width[image]} × ${images.height[image]}` : null].filter(Boolean);
    const dot = make("span", { class: "dot", "aria-hidden": "true" });
    dot.style.setProperty("--dot", datasetOf(image).colour);
    return make(
      "div", {},
      make("span", { class: "name", title: cleanText(imageName(image)), dir: "auto" }, cleanText(imageName(image))),
      make("span", { class: "more" }, dot, named(datasetOf(image).name), ...more.flatMap((part) => [" · ", part])),
    );
  };
  return make("div", { class: "names" }, one(pair.left), one(pair.right));
}

/** The rung of a pair, with as many of its steps filled as the evidence is sure. */
function rungOf(pair) {
  const steps = make("span", { class: "steps", "aria-hidden": "true" });
  const place = rungPlaces.get(pair.rung);
  data.rungs.forEach((_, step) => steps.append(make("i", { class: step < data.rungs.length - place ? "on" : "" })));
  const judged = pair.judged ? make("span", { class: "judged" }, `a person said: ${pair.judged}`) : null;
  return make("p", { class: "rung" }, place === undefined ? null : steps, rungName(pair.rung), judged);
}
