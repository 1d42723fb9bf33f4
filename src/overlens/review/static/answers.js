// The answers as a table: out as a download, in from a file, all of it or nothing.
import { limits } from "./facts.js";
import { exportAddress, Refused, tellTable } from "./server.js";

export const sizeText = (bytes) => `${numberText(Math.floor(bytes / 2 ** 20))} MiB`;

/** `attempt` does what asks the server and tells where it fails; `changed` shows what came in. */
export function openAnswers(attempt, changed) {
  const input = find("#import");
  const says = find("#import-says");
  find("#export").href = exportAddress;

  const tell = (...lines) => says.replaceChildren(...lines);

  async function bring(file) {
    try {
      const { n_added: added, n_same: same, n_older: older = 0 } = await tellTable("import", file);
      tell(make("p", {}, `${countOf(added, "answer")} added, ${numberText(same)} known already${older ? `, ${numberText(older)} older than what counts` : ""}.`));
      await changed();
    } catch (error) {
      if (!(error instanceof Refused) || error.status === 403) throw error;
      const problems = error.problems.map((problem) => make("li", {}, named(String(problem))));
      tell(make("p", {}, problems.length ? "Nothing was imported. Mend or remove these:" : named(error.message)), make("ul", {}, ...problems));
    }
  }

  input.addEventListener("change", async () => {
    const [file] = input.files;
    input.value = ""; // so that the same file can be chosen again once it is mended
    if (!file) return;
    tell(make("p", {}, "Reading the table …"));
    if (file.size > limits.import_bytes) tell(make("p", {}, `Nothing was imported: the file is larger than ${sizeText(limits.import_bytes)}.`));
    else if (!(await attempt(() => bring(file)))) tell(make("p", {}, "Nothing is known of the import: the server does not answer."));
  });
}
