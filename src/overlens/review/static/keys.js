// Keys, buttons of the light table, and the dialogs.

const ANSWERS = { c: "copy", n: "not a copy", s: "same scene", u: "unsure" };
const MODES = { w: "swipe", f: "flicker", d: "difference" };
const PAN = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEPT = "overlens-single-keys";

const isTyping = (target) => target.matches?.('input:not([type="radio"], [type="checkbox"], [type="range"], [type="file"]), select, textarea, [contenteditable]');
const takesArrows = (target) => target.matches?.('input[type="radio"], input[type="range"]');

function openDialog(dialog) {
  dialog.showModal();
  find("h2", dialog).focus();
}

export function listen({ answer, undo, step, view, matches }) {
  const keysOn = find("#keys-on");
  try { keysOn.checked = localStorage.getItem(KEPT) !== "off"; } catch { /* nothing is kept in this browser */ }
  keysOn.addEventListener("change", () => {
    try { localStorage.setItem(KEPT, keysOn.checked ? "on" : "off"); } catch { /* as above */ }
  });

  function setMode(mode) {
    find(`input[name="mode"][value="${mode}"]`).checked = true;
    view.setMode(mode);
  }

  const plain = {
    z: undo,
    Backspace: undo,
    m: () => matches.toggle(),
    "+": () => view.zoomBy(1.5),
    "=": () => view.zoomBy(1.5),
    "-": () => view.zoomBy(1 / 1.5),
    0: () => view.fit(),
    "?": () => openDialog(find("#help")),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || find("dialog[open]")) return;
    if (isTyping(event.target)) {
      if (event.target.id === "note" && ["Enter", "Escape"].includes(event.key)) find("#pair").focus();
      return;
    }
    const isArrow = event.key in PAN;
    if (!keysOn.checked && !isArrow && event.key !== "?") return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = actionOf(event, key, isArrow);
    if (!act) return;
    event.preventDefault();
    act();
  });

  function actionOf(event, key, isArrow) {
    if (isArrow) {
      if (takesArrows(event.target)) return null;
      if (event.shiftKey) return () => view.panBy(...PAN[event.key]);
      return ["ArrowLeft", "ArrowRight"].includes(event.key) ? () => step(event.key === "ArrowLeft" ? -1 : 1) : null;
    }
    if (event.shiftKey && /^[a-z]$/.test(key)) return null;
    if (key in ANSWERS || key === "z" || key === "Backspace") { // a key that is held down answers once
      return event.repeat ? () => {} : key in ANSWERS ? () => answer(ANSWERS[key]) : plain[key];
    }
    if (key in MODES) return () => setMode(view.mode() === MODES[key] ? "side" : MODES[key]);
    return plain[key] ?? null;
  }

  onChoice("mode", setMode);
  find("#points-on").addEventListener("change", () => matches.set(find("#points-on").checked));
  find("#zoom-in").addEventListener("click", () => view.zoomBy(1.5));
  find("#zoom-out").addEventListener("click", () => view.zoomBy(1 / 1.5));
  find("#zoom-fit").addEventListener("click", () => view.fit());
  find("#help-open").addEventListener("click", () => openDialog(find("#help")));
  find("#answers-open").addEventListener("click", () => openDialog(find("#answers")));
  find("#meanings-open").addEventListener("click", () => openDialog(find("#meanings")));
  for (const dialog of findAll("dialog")) {
    find("[data-close]", dialog).addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }
}
