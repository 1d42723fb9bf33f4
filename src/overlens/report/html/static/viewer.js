// One pair in full: large, with its evidence, and keys for the next, the previous and the mode.
"use strict";

const viewer = (() => {
  const dialog = find("#viewer");
  if (!dialog) return null;
  const modes = ["side", "swipe", "flicker", "difference"];
  let list = [];
  let position = 0;
  let opener = null;
  let strong = false;

  /** Show the pair at a position of a list of pairs; `from` gets the focus back. */
  function open(places, at, from) {
    [list, position, opener] = [places, at, from];
    find(`input[name="viewer-mode"][value="${chosen("mode") ?? "side"}"]`).checked = true;
    dialog.showModal();
    show();
    find("#viewer-title").focus();
  }

  function show() {
    const pair = pairAt(list[position]);
    find("#viewer-title").textContent = `Pair ${numberText(position + 1)} of ${numberText(list.length)}`;
    find("#viewer-before").disabled = position === 0;
    find("#viewer-after").disabled = position === list.length - 1;
    const mode = chosen("viewer-mode");
    find("#viewer-stage").replaceChildren(comparison(pair, mode), ...(mode === "difference" && layOf(pair) ? [strength()] : []));
    find("#viewer-facts").replaceChildren(facts(pair));
  }

  function strength() {
    const box = make("input", { type: "checkbox" });
    const apply = () => { strong = box.checked; find("#viewer-stage .stage").classList.toggle("strong", strong); };
    box.checked = strong;
    box.addEventListener("change", apply);
    queueMicrotask(apply);
    return make("label", { class: "check difference-strength" }, box, "Show differences four times as strong");
  }

  function facts(pair) {
    const rows = [...pair.evidence];
    if (pair.cosine !== null && !rows.some(([what]) => /cosine/i.test(what))) rows.push(["Cosine similarity", pair.cosine.toFixed(4)]);
    if (pair.bits !== null && !rows.some(([what]) => /bits|hamming/i.test(what))) rows.push(["Bits that differ", String(pair.bits)]);
    const body = make("tbody", {}, ...rows.map(([what, value]) => make("tr", {}, make("th", { scope: "row" }, named(what)), make("td", {}, named(value)))));
    return make(
      "div", { class: "facts" }, namesOf(pair), rungOf(pair),
      pair.words ? make("p", {}, cleanText(pair.words)) : null,
      rows.length ? make("table", { class: "data" }, make("caption", {}, "Evidence"), body) : null,
    );
  }

  function move(step) {
    const next = Math.min(Math.max(position + step, 0), list.length - 1);
    if (next === position) return;
    position = next;
    show();
    if (document.activeElement?.disabled || !dialog.contains(document.activeElement)) find("#viewer-title").focus();
  }

  find("#viewer-before").addEventListener("click", () => move(-1));
  find("#viewer-after").addEventListener("click", () => move(1));
  find("#viewer-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    find("#viewer-stage").replaceChildren();
    if (opener?.isConnected) opener.focus(); else find("#shown").focus();
  });
  onChoice("viewer-mode", show);
  dialog.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const mode = modes[Number(event.key) - 1];
    if (mode) {
      find(`input[name="viewer-mode"][value="${mode}"]`).checked = true;
      show();
    }
    if (event.target.matches("input")) return; // arrow keys there move the line or the choice
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      move(event.key === "ArrowLeft" ? -1 : 1);
    }
  });
  return { open };
})();
