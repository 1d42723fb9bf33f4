// Overlap against the threshold: a chart, a slider, and the counts of every direction where the slider stands.
"use strict";

if (find("#curve")) {
  const HEIGHT = 330, LEFT = 58, RIGHT = 16, TOP = 14, BOTTOM = 46;
  const DASHES = ["", "9 5", "2 5"];
  const slider = find("#threshold");
  const link = find("#threshold-link");
  let curve = data.curves[0];
  let lines = [];
  let width = 800; // that of the chart, in pixels: its letters stay as large as those around it

  const share = (line, place) => (data.datasets[line.left].size ? line.counts[place] / data.datasets[line.left].size : 0);
  const ownPlace = () => (curve.at === null ? -1 : curve.thresholds.findIndex((value) => Math.abs(value - curve.at) < 1e-9));
  const thresholdText = (value) => `${Number(value.toFixed(6))}${curve.unit ? ` ${curve.unit}` : ""}`;
  const limitText = (value) => `${curve.isSimilarity ? "≥" : "≤"} ${thresholdText(value)}`;
  const limitWords = (value) => `${curve.isSimilarity ? "at least" : "at most"} ${thresholdText(value)}`;

  /** Lines of one dataset have its colour; the dashes tell the others apart, as the table beside them says. */
  const dashOf = (line) => (line.left === line.right ? 2 : [...data.datasets.keys()].filter((place) => place !== line.left).indexOf(line.right) % 2);

  function chooseLines() {
    const only = find("#curve-dataset")?.value ?? "";
    const within = find("#curve-within").checked;
    lines = curve.lines.filter((line) => (only === "" || line.left === Number(only)) && (within || line.left !== line.right));
  }

  const x = (place) => LEFT + ((width - LEFT - RIGHT) * (curve.thresholds[place] - curve.thresholds[0])) / (curve.thresholds.at(-1) - curve.thresholds[0] || 1);
  const top = () => niceTop(Math.max(1e-9, ...lines.flatMap((line) => line.counts.map((_, place) => share(line, place)))));
  const y = (value, end) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / end);

  /** The round share at or above the largest one. */
  function niceTop(largest) {
    const power = 10 ** Math.floor(Math.log10(largest));
    return Math.min(1, [1, 2, 5, 10].map((step) => step * power).find((value) => largest <= value * (1 + 1e-9)));
  }

  function drawChart() {
    const end = top();
    const chart = makeShape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": "Share of each dataset with a match, against the threshold; the table below has the numbers" });
    for (const tick of [0, 0.5, 1]) {
      const at = y(tick * end, end);
      chart.append(makeShape("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }), makeShape("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, shareText(tick * end)));
    }
    for (const place of tickPlaces()) chart.append(makeShape("text", { x: x(place), y: HEIGHT - BOTTOM + 20, "text-anchor": "middle" }, thresholdText(curve.thresholds[place])));
    chart.append(makeShape("text", { x: LEFT, y: HEIGHT - 6 }, curve.isSimilarity ? "loose" : "strict"), makeShape("text", { x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, curve.isSimilarity ? "strict" : "loose"));
    if (curve.at !== null && ownPlace() >= 0) {
      const at = x(ownPlace());
      const side = at > width * 0.8 ? "end" : "start";
      chart.append(makeShape("line", { class: "own", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM }), makeShape("text", { x: at + (side === "end" ? -6 : 6), y: TOP + 10, "text-anchor": side }, "this run"));
    }
    for (const line of lines) {
      const points = line.counts.map((_, place) => `${x(place).toFixed(1)},${y(share(line, place), end).toFixed(1)}`).join(" ");
      chart.append(makeShape("polyline", { class: "line", points, stroke: data.datasets[line.left].colour, "stroke-dasharray": DASHES[dashOf(line)] }));
    }
    chart.append(makeShape("g", { id: "chart-now" }));
    find("#chart").replaceChildren(chart);
  }

  function tickPlaces() {
    const n = curve.thresholds.length;
    const step = Math.max(1, Math.ceil((n - 1) / (width < 500 ? 4 : 6)));
    return Array.from({ length: n }, (_, place) => place).filter((place) => place % step === 0 || (place === n - 1 && place % step > step / 2));
  }

  function drawNow(place) {
    const end = top();
    const marks = lines.map((line) => makeShape("circle", { class: "point", cx: x(place), cy: y(share(line, place), end), r: 5, fill: data.datasets[line.left].colour }));
    find("#chart-now").replaceChildren(makeShape("line", { class: "now", x1: x(place), x2: x(place), y1: TOP, y2: HEIGHT - BOTTOM }), ...marks);
  }

  function row(line, place) {
    const swatch = make("span", { class: `swatch dash-${dashOf(line)}`, "aria-hidden": "true" });
    swatch.style.setProperty("--dot", data.datasets[line.left].colour);
    const own = ownPlace();
    const change = own < 0 ? null : line.counts[place] - line.counts[own];
    const changed = change === null ? "–" : change === 0 ? "same" : `${change > 0 ? "+" : "−"}${numberText(Math.abs(change))}`;
    return make(
      "tr", {},
      make("th", { scope: "row" }, swatch, named(data.datasets[line.left].name)),
      make("td", {}, line.left === line.right ? "itself" : named(data.datasets[line.right].name)),
      make("td", { class: "number count" }, numberText(line.counts[place])),
      make("td", { class: "number" }, shareText(share(line, place))),
      make("td", { class: "number" }, changed),
    );
  }

  function update() {
    const place = Number(slider.value);
    const threshold = curve.thresholds[place];
    slider.setAttribute("aria-valuetext", limitWords(threshold));
    find("#threshold-value").textContent = limitText(threshold);
    find("#threshold-reset").hidden = ownPlace() < 0;
    find("#threshold-reset").disabled = place === ownPlace();
    find("#live tbody").replaceChildren(...lines.map((line) => row(line, place)));
    drawNow(place);
    if (gallery && link.checked) gallery.limit(curve.method, threshold);
    saySoon(place);
  }

  /** Say the result once the slider rests: a screen reader should not read every step. */
  let waiting = 0;
  function saySoon(place) {
    clearTimeout(waiting);
    waiting = setTimeout(() => { find("#threshold-said").textContent = sentence(place); }, 150);
  }

  function sentence(place) {
    const threshold = curve.thresholds[place];
    if (!gallery) return `Counted at ${limitText(threshold)}.`;
    const found = `${numberText(gallery.countAt(curve.method, threshold))} of the ${countOf(pairs.left.length, "pair")} in the gallery match at ${limitText(threshold)}`;
    const own = ownPlace();
    const isLooser = own >= 0 && (curve.isSimilarity ? place < own : place > own);
    return isLooser ? `${found}; pairs that only match at a looser threshold than this run’s may be missing there.` : `${found}.`;
  }

  function choose(position) {
    curve = data.curves[Number(position)];
    slider.max = curve.thresholds.length - 1;
    slider.value = Math.max(0, ownPlace());
    redraw();
  }

  function redraw() {
    width = Math.max(280, find("#chart").clientWidth || width);
    chooseLines();
    drawChart();
    update();
  }

  onChoice("curve", choose);
  slider.addEventListener("input", update);
  find("#curve-within").addEventListener("change", redraw);
  find("#curve-dataset")?.addEventListener("change", redraw);
  find("#threshold-reset").addEventListener("click", () => { slider.value = ownPlace(); update(); slider.focus(); });
  link?.addEventListener("change", () => (link.checked ? update() : gallery.limit(curve.method, null)));
  document.addEventListener("scorechange", () => { if (link) link.checked = false; });
  choose(0);
  new ResizeObserver(() => { if (Math.abs(find("#chart").clientWidth - width) > 1) redraw(); }).observe(find("#chart"));
}
