// The gallery: which pairs are shown, in which order, and one page of them at a time.
"use strict";

const gallery = (() => {
  if (!find("#gallery")) return null;
  const PAGE = 24;
  const PRINTED = 12;
  const controls = Object.fromEntries(["dataset", "class", "name", "cosine", "bits"].map((name) => [name, find(`#filter-${name}`)]));
  const n = pairs.left.length;
  let selection = null; // images that were drawn around, or null
  let shown = [];
  let page = 0;

  /** Which datasets a pair joins, as a choice: "0" one of them is in it, "0,1" it joins these two. */
  function datasetChoices() {
    const found = new Map();
    for (let place = 0; place < n; place++) {
      const two = [images.dataset[pairs.left[place]], images.dataset[pairs.right[place]]].sort((a, b) => a - b);
      found.set(two.join(), (found.get(two.join()) ?? 0) + 1);
    }
    const options = [["", "all"]];
    const keys = [...found.keys()].map((key) => key.split(",").map(Number)).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    data.datasets.forEach((one, place) => { if (data.datasets.length > 2 && keys.some((two) => two.includes(place))) options.push([String(place), `with ${one.name}`]); });
    for (const two of keys) {
      const [first, second] = two.map((place) => data.datasets[place].name);
      options.push([two.join(), `${two[0] === two[1] ? `within ${first}` : `${first} and ${second}`} (${numberText(found.get(two.join()))})`]);
    }
    return options;
  }

  function classChoices() {
    const used = new Set();
    for (let place = 0; place < n; place++) for (const side of [pairs.left, pairs.right]) used.add(images.label[side[place]]);
    const named = [...used].filter((label) => label >= 0).sort((a, b) => a - b);
    return [["", "all"], ...named.map((label) => [String(label), images.labelNames[label]]), ...(used.has(-1) && named.length ? [["-1", "without a label"]] : [])];
  }

  function fill(select, options) {
    select.append(...options.map(([value, text]) => make("option", { value }, cleanText(text))));
    select.closest(".field").hidden = options.length < 2;
  }

  function fillRungs() {
    const counts = new Map(data.rungs.map((rung) => [rung.code, 0]));
    pairs.rung.forEach((code) => counts.set(code, (counts.get(code) ?? 0) + 1));
    const choice = (value, text, count) => {
      const input = make("input", { type: "radio", name: "rung", value, disabled: count === 0 });
      input.checked = value === "";
      return make("label", {}, input, make("span", {}, `${text} ${numberText(count)}`));
    };
    find("#filter-rung").append(choice("", "all", n), ...[...counts].map(([code, count]) => choice(code, rungName(code), count)));
  }

  /** Whether the score of a pair passes a limit; a pair without that score does not. */
  // Scores are 32-bit numbers, and so is what they are held against: as in the run, to the last bit.
  const reaches = (score, limit) => Math.fround(score) >= Math.fround(Number(limit));
  const passes = (score, limit, isLeast) => limit === "" || (score !== null && (isLeast ? reaches(score, limit) : score <= Number(limit)));

  function isWanted(place) {
    const [left, right] = [pairs.left[place], pairs.right[place]];
    const two = [images.dataset[left], images.dataset[right]].map(String);
    const wantedData = controls.dataset.value;
    const rung = chosen("rung");
    if (rung && pairs.rung[place] !== rung) return false;
    if (wantedData && (wantedData.includes(",") ? [...two].sort((a, b) => a - b).join() !== wantedData : !two.includes(wantedData))) return false;
    if (controls.class.value && ![left, right].some((image) => String(images.label[image]) === controls.class.value)) return false;
    const name = controls.name.value.trim().toLowerCase();
    if (name && ![left, right].some((image) => imageName(image).toLowerCase().includes(name))) return false;
    if (!passes(pairs.cosine[place], controls.cosine.value, true) || !passes(pairs.bits[place], controls.bits.value, false)) return false;
    return !selection || selection.has(left) || selection.has(right);
  }

  const sureness = (place) => [rungPlaces.get(pairs.rung[place]) ?? data.rungs.length, -pairs.strength[place]];
  const orders = {
    surest: (a, b) => sureness(a)[0] - sureness(b)[0] || sureness(a)[1] - sureness(b)[1],
    doubtful: (a, b) => orders.surest(b, a),
    cosine: (a, b) => (pairs.cosine[b] ?? -2) - (pairs.cosine[a] ?? -2),
    bits: (a, b) => (pairs.bits[a] ?? 9999) - (pairs.bits[b] ?? 9999),
    name: (a, b) => (imageName(pairs.left[a]) < imageName(pairs.left[b]) ? -1 : Number(imageName(pairs.left[a]) > imageName(pairs.left[b]))),
  };

  function update() {
    shown = Array.from({ length: n }, (_, place) => place).filter(isWanted);
    const order = orders[find("#sort").value];
    if (order) shown.sort((a, b) => order(a, b) || a - b);
    page = 0;
    draw();
  }

  function draw(perPage = PAGE, mode = chosen("mode")) {
    const nPages = Math.max(1, Math.ceil(shown.length / perPage));
    page = Math.min(page, nPages - 1);
    const first = page * perPage;
    const here = shown.slice(first, first + perPage);
    find("#cards").replaceChildren(...here.map((place, offset) => card(pairAt(place), first + offset, mode)));
    find("#shown").textContent = sayShown(first, here.length);
    find("#page-number").value = page + 1;
    find("#page-number").max = nPages;
    find("#page-count").textContent = `of ${numberText(nPages)}`;
    find("#page-before").disabled = page === 0;
    find("#page-after").disabled = page >= nPages - 1;
    find("#pages").hidden = nPages === 1;
    find("#filters-clear").hidden = !isFiltered();
    find("#mode-says").textContent = mode === "difference" ? `Differences, four times as strong. ${MODE_WORDS[mode]}` : MODE_WORDS[mode];
    find("#selected").hidden = !selection;
    if (selection) find("#selected span").textContent = `Showing ${countOf(shown.length, "pair")} with an image in the selection`;
  }

  function sayShown(first, nHere) {
    if (!shown.length) return n ? "No pair fits these filters." : "No pairs were found.";
    const of = shown.length === n ? countOf(n, "pair") : `${numberText(shown.length)} of ${countOf(n, "pair")}`;
    return shown.length > nHere ? `${of}: ${numberText(first + 1)} to ${numberText(first + nHere)}` : of;
  }

  const isFiltered = () => Boolean(chosen("rung") || selection || Object.values(controls).some((control) => control.value));

  function card(pair, position, mode) {
    const open = make("button", { type: "button", class: "open" }, "Look closer", make("span", { class: "unseen" }, `: ${cleanText(imageName(pair.left))} and ${cleanText(imageName(pair.right))}`));
    open.addEventListener("click", () => viewer.open(shown, position, open));
    const view = comparison(pair, mode);
    if (mode === "difference") view.classList.add("strong"); // a card is small, and copies differ little
    if (mode === "side") {
      view.style.cursor = "zoom-in";
      view.addEventListener("click", () => viewer.open(shown, position, open));
    }
    return make(
      "li", { class: "card" }, view, namesOf(pair), rungOf(pair),
      pair.words ? make("p", { class: "words" }, cleanText(pair.words)) : null,
      scoresOf(pair) ? make("p", { class: "scores" }, scoresOf(pair)) : null,
      open,
    );
  }

  function turnTo(number) {
    page = Math.max(0, number);
    draw();
    find("#shown").scrollIntoView({ block: "start" });
  }

  function clearFilters() {
    Object.values(controls).forEach((control) => { control.value = ""; });
    find('input[name="rung"][value=""]').checked = true;
    document.dispatchEvent(new CustomEvent("scorechange"));
    select(null);
  }

  /** Show only pairs with an image of a set; null shows all again. */
  function select(chosenImages) {
    selection = chosenImages;
    document.dispatchEvent(new CustomEvent("selectionchange-images", { detail: selection }));
    update();
    return shown.length;
  }

  /** How many pairs of the gallery match at a threshold. */
  const countAt = (method, threshold) => pairs[method === "cosine" ? "cosine" : "bits"].filter((score) => passes(score, String(threshold), method === "cosine")).length;

  /** Show only pairs that match at a threshold; null shows all again. */
  function limit(method, threshold) {
    controls.cosine.value = method === "cosine" && threshold !== null ? threshold : "";
    controls.bits.value = method !== "cosine" && threshold !== null ? threshold : "";
    update();
  }

  fill(controls.dataset, datasetChoices());
  fill(controls.class, classChoices());
  fillRungs();
  find("#field-cosine").hidden = pairs.cosine.every((score) => score === null);
  find("#field-bits").hidden = pairs.bits.every((score) => score === null);
  find("#shown").tabIndex = -1;
  for (const control of Object.values(controls)) control.addEventListener("input", update);
  for (const score of [controls.cosine, controls.bits]) score.addEventListener("input", () => document.dispatchEvent(new CustomEvent("scorechange")));
  find("#sort").addEventListener("change", update);
  onChoice("rung", update);
  onChoice("mode", () => draw());
  find("#page-before").addEventListener("click", () => turnTo(page - 1));
  find("#page-after").addEventListener("click", () => turnTo(page + 1));
  find("#page-number").addEventListener("change", (event) => turnTo((Number(event.target.value) || 1) - 1));
  find("#filters-clear").addEventListener("click", clearFilters);
  find("#selected-clear").addEventListener("click", () => select(null));
  addEventListener("beforeprint", () => draw(PRINTED, "side"));
  addEventListener("afterprint", () => draw());
  update();
  return { select, countAt, limit, matched: () => shown.length };
})();
