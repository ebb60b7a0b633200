// What is going on, for how long, and how to stop it.

import { el, notice, say } from "./dom.js";

/** Run `work(signal)` while `place` shows its progress; return its result, or null. */
export async function withProgress(place, what, work) {
  const stop = new AbortController();
  const started = performance.now();
  const seconds = el("span", { class: "quiet" });
  const tick = () => {
    seconds.textContent = `${Math.round((performance.now() - started) / 1000)} s`;
  };
  const clock = setInterval(tick, 500);
  tick();
  place.replaceChildren(
    el("div", { class: "working" },
      el("progress", { "aria-label": what }), el("span", {}, `${what} …`), seconds,
      el("button", { type: "button", onclick: () => stop.abort() }, "Stop")),
  );
  say(what);
  try {
    const found = await work(stop.signal);
    place.replaceChildren();
    return found;
  } catch (error) {
    const stopped = error.name === "AbortError";
    const known = stopped || error.advice !== undefined;
    place.replaceChildren(
      notice(
        stopped ? "" : "bad",
        stopped ? "Stopped." : error.message,
        known ? error.advice : "This was not foreseen: please report it.",
      ),
    );
    if (stopped) say("Stopped.");
    return null;
  } finally {
    clearInterval(clock);
  }
}
