// Which containment matrix is shown: all of them stand in the page.
"use strict";

if (find("#matrix-controls")) {
  const rungs = find("#rung");
  const show = () => {
    const method = chosen("method");
    const field = find("[data-rungs-of]");
    if (field) field.hidden = field.dataset.rungsOf !== method;
    const rung = field && !field.hidden ? rungs.value : "";
    for (const table of findAll(".matrix")) {
      table.classList.toggle("chosen", table.dataset.method === method && table.dataset.rung === rung);
    }
  };
  onChoice("method", show);
  rungs?.addEventListener("change", show);
  show();
}
