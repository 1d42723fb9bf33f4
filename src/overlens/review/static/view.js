// The light table: two pictures beside one another or on one another, enlarged and moved together.
//
// Where it is known how one lies on the other, the middle of both panes shows the same spot of the scene, even if one
// of them is a part of the other, mirrored or turned.
import { limits } from "./facts.js";
import { followFingers } from "./fingers.js";
import { imageAddress } from "./server.js";

const MOST_ZOOM = 16;
const SAME = [1, 0, 0, 0, 1, 0, 0, 0, 1];
const PAN_SHARE = 0.15; // of what is seen, for one press of an arrow

/** Where a matrix of nine numbers takes a point. */
function carry([a, b, c, d, e, f, g, h, i], x, y) {
  const w = g * x + h * y + i;
  return [(a * x + b * y + c) / w, (d * x + e * y + f) / w];
}

/** How the right picture lies on the left one, in shares; null where that is not known. */
function layOn(pair) {
  if (pair.transform) return invert(pair.transform);
  return SAME_SHAPE.includes(pair.machine) ? SAME : null;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const clampMiddle = (middle, seen) => (seen >= 1 ? 0.5 : clamp(middle, seen / 2, 1 - seen / 2));

export function openView(table, say) {
  const sides = Object.fromEntries(["left", "right"].map((name) => {
    const pane = find(`#pane-${name}`);
    return [name, { name, pane, world: find(".world", pane), picture: null, isFull: false }];
  }));
  const over = make("div", { class: "over" });
  const edge = make("div", { class: "edge", "aria-hidden": "true", hidden: true });
  const tag = make("span", { class: "tag", "aria-hidden": "true", hidden: true });
  sides.left.pane.append(edge, tag);
  let pair = null;
  let lay = null;
  let wanted = "side";
  let at = { zoom: 1, x: 0.5, y: 0.5 }; // the middle, in shares of the left picture
  let line = 50;
  let timer = 0;
  let isReady = false;
  let placed = () => {};

  const mode = () => (wanted !== "side" && lay ? wanted : "side");
  const imageOf = (side) => pair[side.name];

  function show(next) {
    pair = next;
    lay = layOn(pair);
    at = { zoom: 1, x: 0.5, y: 0.5 };
    isReady = false;
    const waiting = Object.values(sides).map((side) => {
      side.isFull = false;
      side.picture = pictureOf(imageOf(side).row, side.name);
      side.world.replaceChildren(side.picture);
      delete side.pane.dataset.missing;
      return side.picture.decode().catch(() => { if (side.picture.isConnected) side.pane.dataset.missing = "There is no picture here: its file is gone or was changed."; });
    });
    over.replaceChildren(pictureOf(pair.right.row, "right"));
    sides.left.world.append(over);
    table.dataset.pair = pair.id;
    dress();
    return Promise.all(waiting).then(() => {
      if (pair !== next) return;
      isReady = true;
      place();
    });
  }

  function pictureOf(row, name) {
    const picture = make("img", { alt: `The ${name} picture`, draggable: "false", decoding: "sync" });
    picture.src = imageAddress(row);
    return picture;
  }

  function clear() {
    [pair, lay] = [null, null];
    delete table.dataset.pair;
    for (const side of Object.values(sides)) side.world.replaceChildren();
    dress();
  }

  /** Show what belongs to the mode, and only that. */
  function dress() {
    const now = mode();
    table.dataset.mode = now;
    find(".line-field").hidden = edge.hidden = now !== "swipe";
    find("#turn").hidden = tag.hidden = now !== "flicker";
    find("#strong-field").hidden = now !== "difference";
    find("#mode-says").textContent = !pair || wanted === "side" ? "" : lay ? WORDS[now] : "These two were not laid on one another, so they stay side by side.";
    table.classList.remove("turned");
    tag.textContent = "left";
    flicker(now === "flicker" && !stillWanted.matches);
    place();
  }

  function flicker(isOn) {
    clearInterval(timer);
    timer = isOn ? setInterval(turn, FLICKER_MS) : 0;
    find("#turn").textContent = isOn ? "Stop, and turn by hand" : "Turn to the other picture";
  }

  function turn() { tag.textContent = table.classList.toggle("turned") ? "right" : "left"; }

  const shapeOf = (side) => {
    const { width, height } = imageOf(side);
    return width && height ? width / height : side.picture.naturalWidth / side.picture.naturalHeight || 1;
  };

  /** Put the pictures above one another where they get larger that way, as wide ones do on a phone. */
  function arrange() {
    const areaIn = (width, height) => Object.values(sides).reduce((area, side) => area + Math.min(width, height * shapeOf(side)) ** 2 / shapeOf(side), 0);
    const { clientWidth: width, clientHeight: height } = table;
    const wins = table.hasAttribute("data-stacked") ? 0.95 : 1.15; // what stands stays: the words below change the height
    const isStacked = mode() === "side" && areaIn(width, height / 2) > wins * areaIn(width / 2, height);
    table.toggleAttribute("data-stacked", isStacked);
    if (wanted === "side") find("#mode-says").textContent = isStacked ? "Above the left picture, below it the right one." : "";
  }

  /** Where a side's picture lies in its pane: pixels of its corner, and its size. */
  function boxOf(side) {
    const { clientWidth: width, clientHeight: height } = side.pane;
    const shape = shapeOf(side);
    const wide = Math.min(width, height * shape);
    const size = [wide, wide / shape];
    const seen = [width / (size[0] * at.zoom), height / (size[1] * at.zoom)];
    const toward = side.name === "left" || !lay ? [at.x, at.y] : carry(invert(lay) ?? SAME, at.x, at.y);
    const middle = toward.map((value, axis) => clampMiddle(Number.isFinite(value) ? value : 0.5, seen[axis]));
    const corner = [width / 2 - middle[0] * size[0] * at.zoom, height / 2 - middle[1] * size[1] * at.zoom];
    return { size, seen, middle, corner, width, height };
  }

  function place() {
    const says = find("#zoom-says");
    says.textContent = `${at.zoom.toFixed(at.zoom < 10 && at.zoom % 1 ? 1 : 0)} ×`;
    table.toggleAttribute("data-zoomed", at.zoom > 1);
    if (!pair) return placed();
    arrange();
    for (const side of Object.values(sides)) {
      const isHidden = mode() !== "side" && side === sides.right; // it lies on the left one then
      const { size, corner } = boxOf(isHidden ? sides.left : side);
      if (isHidden) {
        sharpen(side, size);
        continue;
      }
      side.world.style.width = `${size[0]}px`;
      side.world.style.height = `${size[1]}px`;
      side.world.style.transform = `translate(${corner[0]}px, ${corner[1]}px) scale(${at.zoom})`;
      sharpen(side, size);
    }
    layOver();
    placed();
  }

  function layOver() {
    const picture = over.firstChild;
    if (!lay || mode() === "side" || !picture) return;
    const { size, corner, width } = boxOf(sides.left);
    picture.style.transform = matrix3d(lay, ...size);
    const cut = mode() === "swipe" ? clamp(((line / 100) * width - corner[0]) / at.zoom, 0, size[0]) : 0;
    over.style.clipPath = `inset(0 0 0 ${cut}px)`;
    edge.style.left = `${line}%`;
  }

  /** Fetch the original's pixels once someone looks closer than the small picture allows. */
  function sharpen(side, size) {
    const image = imageOf(side);
    const most = limits.rendition_px;
    const isSmall = Math.max(image.width, image.height) > most;
    if (side.isFull || !isReady || !isSmall || at.zoom <= 1 || Math.max(...size) * at.zoom * devicePixelRatio < 1.3 * most) return;
    side.isFull = true;
    const full = new Image();
    const of = pair;
    full.src = imageAddress(image.row, true);
    full.decode().then(() => {
      if (pair !== of) return;
      side.picture.src = full.src;
      if (side.name === "right") over.firstChild.src = full.src;
    }, () => { if (pair === of) say("Enlarged from the small picture: the original is gone or was changed."); });
  }

  /** Enlarge so that a spot of a pane stays where it is; the middle of the table where none is named. */
  function zoomBy(factor, name = "left", spot = null) {
    if (!pair) return;
    const side = sides[name];
    const { size, corner, width, height } = boxOf(side);
    const [x, y] = spot ?? [width / 2, height / 2];
    const share = [(x - corner[0]) / (size[0] * at.zoom), (y - corner[1]) / (size[1] * at.zoom)];
    const zoom = clamp(at.zoom * factor, 1, MOST_ZOOM);
    at.zoom = Math.abs(zoom - 1) < 0.02 ? 1 : zoom;
    aim(side, share[0] - (x - width / 2) / (size[0] * at.zoom), share[1] - (y - height / 2) / (size[1] * at.zoom));
  }

  /** Take a spot of a side's picture to the middle, as far as its edges allow. */
  function aim(side, x, y) {
    const { seen } = boxOf(side);
    const middle = [clampMiddle(x, seen[0]), clampMiddle(y, seen[1])];
    [at.x, at.y] = side.name === "left" || !lay ? middle : carry(lay, ...middle);
    place();
  }

  function dragBy(name, x, y) {
    if (!pair) return;
    const side = sides[name];
    const { size, middle } = boxOf(side);
    aim(side, middle[0] - x / (size[0] * at.zoom), middle[1] - y / (size[1] * at.zoom));
  }

  function panBy(x, y) {
    if (!pair) return;
    const { seen, middle } = boxOf(sides.left);
    aim(sides.left, middle[0] + x * PAN_SHARE * Math.min(1, seen[0]), middle[1] + y * PAN_SHARE * Math.min(1, seen[1]));
  }

  /** Where a point of a picture is on the table, in pixels; null where it is not seen. */
  function spotOf(name, x, y) {
    const isOver = mode() !== "side";
    const side = isOver ? sides.left : sides[name];
    const [across, down] = isOver && name === "right" ? carry(lay, x, y) : [x, y];
    const { size, corner, width, height } = boxOf(side);
    const spot = [corner[0] + across * size[0] * at.zoom, corner[1] + down * size[1] * at.zoom];
    if (!(spot[0] >= 0 && spot[1] >= 0 && spot[0] <= width && spot[1] <= height)) return null;
    return [spot[0] + side.pane.offsetLeft, spot[1] + side.pane.offsetTop];
  }

  function setLine(value) {
    line = clamp(value, 0, 100);
    find("#line").value = line;
    find("#line").setAttribute("aria-valuetext", `left picture up to ${Math.round(line)} %`);
    layOver();
  }

  find("#line").addEventListener("input", () => setLine(Number(find("#line").value)));
  find("#turn").addEventListener("click", () => (timer ? flicker(false) : turn()));
  find("#strong").addEventListener("change", () => table.classList.toggle("strong", find("#strong").checked));
  stillWanted.addEventListener("change", dress);
  new ResizeObserver(place).observe(table);
  for (const side of Object.values(sides)) {
    followFingers(side.pane, {
      zoom: (factor, spot) => zoomBy(factor, side.name, spot),
      drag: (x, y) => dragBy(side.name, x, y),
      swipe: (share) => setLine(100 * share),
      isSwiped: (x) => mode() === "swipe" && (at.zoom === 1 || Math.abs(x - (line / 100) * side.pane.clientWidth) < 24),
      isZoomed: () => at.zoom > 1,
    });
  }

  return {
    show, clear, zoomBy, panBy, spotOf,
    fit: () => { at = { zoom: 1, x: 0.5, y: 0.5 }; place(); },
    mode: () => wanted,
    setMode: (value) => { wanted = value; dress(); },
    isReady: () => isReady,
    onPlace: (act) => { placed = act; },
  };
}

const WORDS = {
  swipe: "Left of the line the left picture, right of it the right one. Drag the line.",
  flicker: "What changes between the two pictures moves.",
  difference: "Black where both are equal; outside of the smaller one, the other shows as it is.",
};
