// The maps: points drawn by Plotly with WebGL, once they come into view. Hover and legend are elements of the page, so
// that no name ever reaches Plotly, which would read some of it as markup.
"use strict";

if (find("#map")) {
  const SYMBOLS = ["circle", "triangle-up", "square", "diamond", "triangle-down", "cross", "x"];
  const PALETTE = ["#332288", "#CC6677", "#44AA99", "#DDCC77", "#882255", "#88CCEE", "#117733", "#AA4499", "#999933"];
  const DARK_PALETTE = ["#8f86e8", "#e08896", "#5cc2b0", "#e6d78a", "#d0668f", "#9ad9f5", "#4fae62", "#d07acb", "#bcbc5a"];
  const MAX_SVG_POINTS = 5000; // without WebGL, more would be too slow to move
  const MANY_POINTS = 20_000; // more are small circles: a shape of three pixels is none, and takes twice as long to draw
  const plot = find("#plot");
  const hover = find("#hover");
  let map = data.maps[0];
  let traces = []; // of each trace the places of its points in the map
  let drawn = false;

  const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark";
  const hasWebgl = (() => {
    try { return Boolean(document.createElement("canvas").getContext("webgl")); } catch { return false; }
  })();

  /** The classes of points in a colouring: of each its name, colour, symbol and points. */
  function classes(colouring) {
    const grey = isDark() ? "#6d747c" : "#b4b8be";
    const palette = isDark() ? DARK_PALETTE : PALETTE;
    if (colouring === "dataset") {
      return gather((image) => images.dataset[image], (key) => ({ name: data.datasets[key].name, colour: data.datasets[key].colour, symbol: SYMBOLS[key % SYMBOLS.length] }));
    }
    if (colouring === "label") {
      const most = mostFrequent(palette.length);
      return gather(
        (image) => (images.label[image] < 0 ? "none" : most.has(images.label[image]) ? images.label[image] : "rest"),
        (key) => (key === "none" || key === "rest" ? { name: key === "none" ? "without a label" : "other labels", colour: grey, symbol: "circle" } : { name: images.labelNames[key], colour: palette[most.get(key)], symbol: SYMBOLS[most.get(key) % SYMBOLS.length] }),
      );
    }
    return gather(
      (image) => (images.group[image] < 0 ? "none" : images.group[image] % palette.length),
      (key) => (key === "none" ? { name: "in no group", colour: grey, symbol: "circle" } : { name: `groups ${key + 1}, ${key + 1 + palette.length}, …`, colour: palette[key], symbol: SYMBOLS[key % SYMBOLS.length] }),
    );
  }

  function gather(keyOf, describe) {
    const found = new Map();
    map.image.forEach((image, point) => {
      const key = keyOf(image);
      if (!found.has(key)) found.set(key, []);
      found.get(key).push(point);
    });
    const isRest = (key) => typeof key === "string";
    const keys = [...found.keys()].sort((a, b) => isRest(b) - isRest(a) || (isRest(a) ? 0 : a - b));
    return keys.map((key) => ({ ...describe(key), points: found.get(key) }));
  }

  function mostFrequent(limit) {
    const counts = new Map();
    map.image.forEach((image) => { if (images.label[image] >= 0) counts.set(images.label[image], (counts.get(images.label[image]) ?? 0) + 1); });
    const most = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, limit).map(([label]) => label);
    return new Map(most.map((label, place) => [label, place]));
  }

  function trace(group) {
    const n = map.image.length;
    return {
      type: hasWebgl ? "scattergl" : "scatter",
      mode: "markers",
      x: Float32Array.from(group.points, (point) => map.x[point]),
      y: Float32Array.from(group.points, (point) => map.y[point]),
      hoverinfo: "none",
      marker: { color: group.colour, symbol: group.symbol, size: n > MANY_POINTS ? 3 : n > 2000 ? 6 : 8, opacity: 0.8 },
      selected: { marker: { opacity: 1 } },
      unselected: { marker: { opacity: 0.15 } },
    };
  }

  function layout() {
    const axis = { showgrid: false, zeroline: false, showticklabels: false, ticks: "", showline: false };
    return {
      xaxis: axis,
      yaxis: { ...axis, scaleanchor: "x" },
      showlegend: false,
      hovermode: "closest",
      dragmode: dragmode(),
      margin: { l: 0, r: 0, t: 0, b: 0 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      newselection: { line: { color: isDark() ? "#ffffff" : "#000000", width: 2 } },
      uirevision: map.method,
    };
  }

  const CONFIG = { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: false, showSendToCloud: false, plotlyServerURL: "", doubleClick: "reset", showAxisDragHandles: false, plotGlPixelRatio: devicePixelRatio || 1 };

  function draw() {
    const groups = classes(chosen("colour"));
    if (map.image.length > MANY_POINTS) for (const group of groups) group.symbol = "circle";
    traces = groups.map((group) => group.points);
    plot.style.touchAction = isMoving() ? "none" : ""; // a finger moves the map, not the page
    const made = Plotly.react(plot, groups.map(trace), layout(), CONFIG);
    drawLegend(groups);
    plot.setAttribute("aria-label", `${map.title}: ${countOf(map.image.length, "image")}, coloured by ${chosen("colour")}`);
    return made;
  }

  function drawLegend(groups) {
    find("#map-legend").replaceChildren(...groups.map((group, place) => {
      const button = make("button", { type: "button", "aria-pressed": "true" }, marker(group), make("span", {}, named(group.name), ` ${numberText(group.points.length)}`));
      button.addEventListener("click", () => {
        const visible = button.getAttribute("aria-pressed") === "false";
        button.setAttribute("aria-pressed", String(visible));
        Plotly.restyle(plot, { visible }, [place]);
      });
      return button;
    }));
  }

  function marker(group) {
    const shapes = {
      circle: ["circle", { cx: 6, cy: 6, r: 5 }], "triangle-up": ["path", { d: "M6 1L11 11H1Z" }], square: ["rect", { x: 1.5, y: 1.5, width: 9, height: 9 }],
      diamond: ["path", { d: "M6 0.5L11.5 6L6 11.5L0.5 6Z" }], "triangle-down": ["path", { d: "M6 11L1 1H11Z" }], cross: ["path", { d: "M4 0H8V4H12V8H8V12H4V8H0V4H4Z" }], x: ["path", { d: "M3 0L6 3L9 0L12 3L9 6L12 9L9 12L6 9L3 12L0 9L3 6L0 3Z" }],
    };
    const svg = makeShape("svg", { width: 12, height: 12, viewBox: "0 0 12 12", "aria-hidden": "true" });
    const [tag, attributes] = shapes[group.symbol];
    svg.append(makeShape(tag, { ...attributes, fill: group.colour }));
    return svg;
  }

  // With very many points a map is moved as the picture that it is, and drawn anew where it is let go: that is smooth
  // on any machine, also where every drawing takes a while.
  const isMovedWhole = () => hasWebgl && map.image.length > MANY_POINTS;
  const isMoving = () => chosen("tool") === "pan" && isMovedWhole();
  const dragmode = () => (isMoving() ? false : chosen("tool"));

  function startMove(event) {
    if (!drawn || event.button !== 0 || !isMoving()) return;
    const layers = [...plot.querySelectorAll(".gl-container")];
    const place = (transform) => { for (const layer of layers) layer.style.transform = transform; };
    let [right, down] = [0, 0];
    const follow = (move) => {
      [right, down] = [move.clientX - event.clientX, move.clientY - event.clientY];
      hover.hidden = true;
      place(`translate(${right}px, ${down}px)`);
    };
    const drop = async () => {
      removeEventListener("pointermove", follow);
      for (const end of ["pointerup", "pointercancel"]) removeEventListener(end, drop);
      if (right || down) await shift(right, down);
      place("");
    };
    addEventListener("pointermove", follow);
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, drop);
    event.preventDefault();
  }

  /** Move the view by pixels of the page. */
  function shift(right, down) {
    const { xaxis, yaxis } = plot._fullLayout;
    const moved = (axis, pixels) => axis.range.map((end) => end + (pixels * (axis.range[1] - axis.range[0])) / axis._length);
    return Plotly.relayout(plot, { "xaxis.range": moved(xaxis, -right), "yaxis.range": moved(yaxis, down) });
  }

  const imageAt = (point) => map.image[traces[point.curveNumber][point.pointNumber]];

  function showHover({ points: [point], event }) {
    const image = imageAt(point);
    const address = pictureOf(image);
    hover.replaceChildren(
      address ? make("img", { src: address, alt: "" }) : "",
      make("div", { class: "name", dir: "auto" }, cleanText(imageName(image))),
      make("div", { class: "label" }, named(datasetOf(image).name), labelOf(image) ? " · " : "", labelOf(image) ? named(labelOf(image)) : ""),
    );
    hover.hidden = false;
    const box = plot.getBoundingClientRect();
    const left = event.clientX - box.left, top = event.clientY - box.top;
    hover.style.left = `${left + 16 + hover.offsetWidth < box.width ? left + 16 : Math.max(0, left - hover.offsetWidth - 16)}px`;
    hover.style.top = `${Math.max(0, Math.min(top + 12, box.height - hover.offsetHeight - 4))}px`;
  }

  function chooseImages(event) {
    if (!event?.lassoPoints && !event?.range) return; // Plotly also says so when a selection is taken away
    const found = new Set(event.points.map(imageAt));
    if (!gallery) { sayChosen(found, null); return; }
    sayChosen(found, gallery.select(found));
  }

  function sayChosen(found, nPairs) {
    const says = find("#map-selected");
    if (!found) { says.replaceChildren(); return; }
    const clear = make("button", { type: "button" }, "Clear");
    clear.addEventListener("click", () => (gallery ? gallery.select(null) : forget()));
    const words = `${countOf(found.size, "image")} chosen${nPairs === null ? "" : `: showing ${countOf(nPairs, "pair")} with an image in the selection`}. `;
    says.replaceChildren(words, ...(nPairs === null ? [] : [make("a", { href: "#pairs" }, "Go to the gallery"), " "]), clear);
  }

  function forget() {
    sayChosen(null);
    if (drawn) Plotly.update(plot, { selectedpoints: [null] }, { selections: [] });
  }

  /** Run plotly.js, which stands in the page as text, by an element of its own: its digest is allowed. */
  function loadLibrary() {
    const script = document.createElement("script");
    script.textContent = find("#plotly").textContent;
    document.head.append(script);
  }

  async function start() {
    if (!hasWebgl && map.image.length > MAX_SVG_POINTS) {
      plot.hidden = true;
      find("#plot-says").textContent = `This browser offers no WebGL, which a map of ${countOf(map.image.length, "image")} needs. The coordinates are in the file below.`;
      return;
    }
    find("#plot-says").textContent = "Drawing the map …";
    await new Promise((resolve) => { setTimeout(resolve, 30); });
    if (!window.Plotly) loadLibrary();
    await draw();
    drawn = true;
    plot.dataset.drawn = "";
    find("#plot-says").textContent = "";
    plot.addEventListener("pointerdown", startMove);
    plot.on("plotly_hover", showHover);
    plot.on("plotly_unhover", () => { hover.hidden = true; });
    plot.on("plotly_selected", chooseImages);
    plot.on("plotly_deselect", () => (gallery ? gallery.select(null) : forget()));
  }

  /** Show a part of the view around its middle, or more than the view. */
  function zoom(factor) {
    if (!drawn) return;
    const around = ([from, to]) => [(from + to) / 2 - (factor * (to - from)) / 2, (from + to) / 2 + (factor * (to - from)) / 2];
    const { xaxis, yaxis } = plot._fullLayout;
    Plotly.relayout(plot, { "xaxis.range": around(xaxis.range), "yaxis.range": around(yaxis.range) });
  }

  const redraw = () => { if (drawn) { hover.hidden = true; draw(); } };
  onChoice("map", (value) => { map = data.maps[Number(value)]; if (gallery) gallery.select(null); else forget(); redraw(); });
  onChoice("colour", redraw);
  onChoice("tool", () => {
    if (!drawn) return;
    plot.style.touchAction = isMoving() ? "none" : "";
    Plotly.relayout(plot, { dragmode: dragmode() });
  });
  const showAll = () => { if (drawn) Plotly.relayout(plot, { "xaxis.autorange": true, "yaxis.autorange": true }); };
  find("#map-reset").addEventListener("click", showAll);
  plot.addEventListener("dblclick", () => { if (isMoving()) showAll(); }); // elsewhere Plotly does it
  find("#map-in").addEventListener("click", () => zoom(0.6));
  find("#map-out").addEventListener("click", () => zoom(1 / 0.6));
  document.addEventListener("themechange", redraw);
  document.addEventListener("selectionchange-images", (event) => { if (!event.detail) forget(); });
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    start();
  }, { rootMargin: "300px" });
  seen.observe(find("#map"));
}
