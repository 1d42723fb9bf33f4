// The filters: filled from what the run holds, applied as they change. A number that cannot be meant is said and left out.

const TYPING_MS = 350;

/** Fill the form, call `apply` with the chosen filters whenever they change (it tells whether it could), and return what tells them. */
export function openFilters(run, apply) {
  const form = find("#filters");
  const opener = find("#filters-open");
  if (form.dataset.filled) return () => read(form);
  form.dataset.filled = "yes";
  fill(form, run);
  let waiting = 0;
  let applied = JSON.stringify(read(form));

  async function changed() {
    clearTimeout(waiting);
    const filters = read(form);
    const now = JSON.stringify(filters);
    if (now === applied) return; // leaving a field is no change
    applied = now;
    const n = Object.entries(filters).filter(([name, value]) => name !== "order" && name !== "judged" ? [value].flat().some(Boolean) : name === "judged" && value !== "any").length;
    opener.textContent = n ? `Filters: ${n} on` : "Filters";
    if (!(await apply(filters)) && applied === now) applied = "";
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
  form.addEventListener("change", changed);
  form.addEventListener("input", (event) => {
    if (!event.target.matches('[type="search"], [type="number"]')) return; // the others change at once
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

/** The filters by their names in a request, without the numbers that cannot be meant. */
function read(form) {
  const chosen = new FormData(form);
  const filters = { rung: chosen.getAll("rung") };
  for (const [name, value] of chosen) if (name !== "rung") filters[name] = value;
  const wrong = wrongOf(form);
  for (const input of findAll('[type="number"]', form)) {
    const isWrong = wrong.some(({ inputs }) => inputs.includes(input));
    input.setAttribute("aria-invalid", String(isWrong));
    input.toggleAttribute("aria-describedby", false);
    if (isWrong) input.setAttribute("aria-describedby", "wrong");
    filters[input.name] = isWrong || !input.value ? "" : String(Number(input.value));
  }
  const says = wrong.map(({ text }) => text).join(" ");
  if (find("#wrong").textContent !== says) find("#wrong").textContent = says;
  find("#wrong").hidden = !wrong.length;
  return filters;
}

/** What is wrong with the numbers: the fields, and a sentence. */
function wrongOf(form) {
  const wrong = findAll('[type="number"]', form).filter((input) => !input.validity.valid).map((input) => ({ inputs: [input], text: `${input.dataset.says} ${needOf(input)}, so it is not applied.` }));
  const { min_strength: from, max_strength: upTo } = form.elements;
  if (from.validity.valid && upTo.validity.valid && from.value && upTo.value && Number(from.value) > Number(upTo.value)) {
    wrong.push({ inputs: [from, upTo], text: `${from.dataset.says}, ${Number(from.value)}, is above “up to”, ${Number(upTo.value)}, so neither is applied.` });
  }
  return wrong;
}

function needOf({ name, min, max, validity }) {
  if (name === "max_bits") return "must be a whole number, 0 or more";
  return validity.badInput ? `must be a number of ${min} to ${max}` : `must be ${min} to ${max}`;
}
