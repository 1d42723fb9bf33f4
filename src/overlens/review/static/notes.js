// The note of the shown pair: the one that counts, until someone types. What was typed stays with its pair until it is
// sent with an answer or left blank, and is there again when that answer is taken back.

export function openNotes() {
  const field = find("#note");
  const kept = find("#note-kept");
  const typed = new Map(); // pair -> what is not sent yet
  const sent = new Map(); // pair -> what this window sent
  let pair = null;

  function show(next) {
    if (pair && next !== pair && !typed.get(pair.id)?.trim()) typed.delete(pair.id);
    pair = next ?? null;
    const counts = pair?.note ?? "";
    const text = pair ? (typed.get(pair.id) ?? counts) : "";
    if (field.value !== text) field.value = text;
    kept.hidden = !counts || counts === field.value.trim();
    kept.replaceChildren("Its note: ", named(counts));
  }

  field.addEventListener("input", () => { if (pair) typed.set(pair.id, field.value); });

  return {
    show,
    text: () => field.value.trim(),
    sent: (id, text) => { sent.set(id, text); typed.delete(id); },
    takenBack: (id) => { if (sent.get(id)) typed.set(id, sent.get(id)); },
  };
}
