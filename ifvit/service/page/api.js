// What the page asks the service for. Errors carry the service's own words.

export class Refused extends Error {
  constructor(message, advice = "", code = "") {
    super(message);
    this.advice = advice;
    this.code = code;
  }
}

const MOST_BYTES = 10e6;
let token = "";

export function useToken(given) {
  token = given.trim();
}

/** Send a request; return what its answer holds, or a file where `blob` says so. */
export async function ask(path, { method = "GET", body, signal, blob = false } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch(path, { method, body, headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(
      "The service does not answer.",
      "Look whether it still runs, then try again; nothing was lost here.",
    );
  }
  const found = await read(answer, blob && answer.ok);
  if (answer.ok) return found;
  const fault = found?.error ?? {};
  const wait = answer.headers.get("Retry-After");
  const advice = [told(fault.what_to_do), wait ? `Wait ${wait} s.` : ""].join(" ").trim();
  throw new Refused(fault.message ?? `The service answered ${answer.status}.`, advice, fault.code);
}

/** What to do, as a sentence. */
const told = (advice) => (advice ? `${advice[0].toUpperCase()}${advice.slice(1)}.` : "");

async function read(answer, blob) {
  try {
    return await (blob ? answer.blob() : answer.json());
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(
      "The answer of the service broke off.",
      "Look whether it still runs, then try again; nothing was lost here.",
    );
  }
}

/** Raise for prints that the service would refuse unseen. */
export function checkSize(prints) {
  const size = prints.reduce((sum, one) => sum + one.file.size, 0);
  if (size > MOST_BYTES) {
    const largest = prints.reduce((most, one) => (one.file.size > most.file.size ? one : most));
    throw new Refused(
      `${largest.file.name} is of ${(largest.file.size / 1e6).toFixed(1)} MB: ` +
        `expected at most ${MOST_BYTES / 1e6} MB in all.`,
      "An 8-bit grey PNG at 500 ppi is enough.",
    );
  }
}

export function match(probe, candidate, signal) {
  checkSize([probe, candidate]);
  const body = new FormData();
  addPrint(body, "probe", probe);
  addPrint(body, "candidate", candidate);
  body.append("evidence", "true");
  return ask("/api/match", { method: "POST", body, signal });
}

export function addPrint(body, field, { file, ppi }) {
  body.append(field, file, file.name);
  body.append(`${field}_ppi`, String(ppi));
}

export const health = () => ask("/health");

export async function example(name, signal) {
  const made = await ask(`/api/examples/${name}.png`, { signal, blob: true });
  return new File([made], `synthetic ${name}.png`, { type: "image/png" });
}
