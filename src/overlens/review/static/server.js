// What is asked of the server and told to it. Every request carries the token of the page.

/** Nobody answers. */
export class Gone extends Error {}

/** The server says no, and why. */
export class Refused extends Error {
  constructor(status, content) {
    super(content.error ?? `The server refused this (${status}).`);
    this.status = status;
    this.problems = content.problems ?? [];
    this.counts = { answer: content.answer ?? "", number: content.number ?? 0 }; // where somebody else was faster
  }
}

const TIMEOUT_MS = 30_000;
const token = find('meta[name="token"]').content;

/** Whose answers these are: this window's, also after it was loaded again, and no other's. */
export const session = (() => {
  const isReload = performance.getEntriesByType("navigation")[0]?.type === "reload";
  const kept = isReload ? sessionStorage.getItem("overlens-session") : null;
  const name = kept ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem("overlens-session", name);
  return name;
})();

async function send(path, options = {}) {
  const headers = { "X-Overlens-Token": token, ...options.headers };
  try {
    const reply = await fetch(`/api/${path}`, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store", ...options, headers });
    const text = await reply.text();
    if (!reply.ok) throw new Refused(reply.status, parse(text) ?? {});
    return parse(text) ?? {};
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Gone("the server does not answer", { cause: error });
  }
}

function parse(text) {
  try { return JSON.parse(text); } catch { return null; }
}

export const ask = (path, parameters = null) => send(parameters ? `${path}?${parameters}` : path);
export const tell = (path, content) => send(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) });
export const tellTable = (path, file) => send(path, { method: "POST", headers: { "Content-Type": "text/csv" }, body: file, signal: AbortSignal.timeout(10 * TIMEOUT_MS) });

/** Where a picture is: at most 512 px a side, or the original's pixels. */
export const imageAddress = (row, isFull = false) => `/image/${row}?${isFull ? "full=1&" : ""}token=${encodeURIComponent(token)}`;
export const exportAddress = `/api/export?token=${encodeURIComponent(token)}`;
