// The filters: filled from what the run holds, applied as they change.

const TYPING_MS = 250;

/** Fill the form, call `apply` with the chosen filters whenever they change, and return what tells them. */
export function openFilters(run, apply) {
  const form = find("#filters");
  const opener = find("#filters-open");
  if (form.dataset.filled) return () => read(form);
  form.dataset.filled = "yes";
  fill(form, run);
  let waiting = 0;

  function changed() {
    clearTimeout(waiting);
    const filters = read(form);
    const n = Object.entries(filters).filter(([name, value]) => name !== "order" && name !== "judged" ? [value].flat().some(Boolean) : name === "judged" && value !== "any").length;
    opener.textContent = n ? `Filters: ${n} on` : "Filters";
    void apply(filters);
  }

  opener.addEventListener("click", () => {
    form.hidden = !form.hidden;
    opener.setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) form.elements[0].focus();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    form.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    opener.focus();
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); changed(); });
  form.addEventListener("reset", () => setTimeout(changed));
  form.addEventListener("change", (event) => { if (event.target.name !== "query") changed(); });
  form.elements.query.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(changed, TYPING_MS);
  });
  return () => read(form);
}

function fill(form, run) {
  const options = (names) => names.map((name) => make("option", { value: name, dir: "auto" }, cleanText(name)));
  const names = run.datasets.map((dataset) => dataset.name);
  form.elements.dataset.append(...options(names));
  form.elements.other.append(...options(names));
  form.elements.class.append(...options(run.classes));
  form.elements.class.closest("label").hidden = run.classes.length === 0;
  form.elements.other.closest("label").hidden = names.length < 2;
  find("#hash").textContent = run.hash;
  if (run.sample) form.elements.order.closest("label").hidden = true;
  for (const [code, name] of run.rungs) {
    find("#rungs").append(make("label", {}, make("input", { type: "checkbox", name: "rung", value: code }), make("span", {}, name)));
  }
}

/** The filters by their names in a request. */
function read(form) {
  const chosen = new FormData(form);
  const filters = { rung: chosen.getAll("rung") };
  for (const [name, value] of chosen) if (name !== "rung") filters[name] = value;
  return filters;
}
