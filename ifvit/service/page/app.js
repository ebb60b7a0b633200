// The page: which part is shown, and what its forms do.

import { example, health, match, useToken } from "./api.js";
import { notice, say } from "./dom.js";
import { Drop } from "./drop.js";
import { withProgress } from "./progress.js";
import { showResult } from "./result.js";

const at = (id) => document.getElementById(id);
const probe = new Drop("Print 1");
const candidate = new Drop("Print 2");
let running = false;

async function compare(event) {
  event?.preventDefault();
  const [first, second] = [probe.value(), candidate.value()];
  if (!first || !second) {
    const missing = "Two prints are needed, and resolutions from 100 to 4000 ppi.";
    at("compare-status").replaceChildren(notice("bad", missing));
    return;
  }
  if (running) return;
  running = true;
  at("compare-about").hidden = true;
  at("compare-result").replaceChildren();
  const found = await withProgress(at("compare-status"), "Comparing", (signal) =>
    match(first, second, signal));
  running = false;
  if (found) await showResult(at("compare-result"), found.candidates[0]);
}

async function takeExamples() {
  const names = at("examples").value.split(" ").filter(Boolean);
  if (names.length !== 2) return;
  const files = await withProgress(at("compare-status"), "Fetching the examples", (signal) =>
    Promise.all(names.map((name) => example(name, signal))));
  if (!files) return;
  [probe, candidate].forEach((drop, side) => {
    drop.ppi.value = 500;
    drop.take(files[side]);
  });
  say("Two synthetic prints are chosen.");
}

function show(part) {
  for (const name of ["compare", "gallery"]) {
    at(name).hidden = name !== part;
    if (name === part) at(`go-${name}`).setAttribute("aria-current", "page");
    else at(`go-${name}`).removeAttribute("aria-current");
  }
}

async function start() {
  at("compare-drops").append(probe.whole, candidate.whole);
  at("compare-form").addEventListener("submit", compare);
  at("examples").addEventListener("change", takeExamples);
  at("token").addEventListener("input", () => useToken(at("token").value));
  at("token-form").addEventListener("submit", (event) => event.preventDefault());
  at("go-compare").addEventListener("click", () => show("compare"));
  at("go-gallery").addEventListener("click", () => show("gallery"));
  try {
    const service = await health();
    at("token-form").hidden = !service.tokens;
    at("go-gallery").hidden = !service.gallery;
    if (service.gallery) {
      const { galleryPart } = await import("./gallery.js");
      const part = galleryPart(at("gallery-body"));
      at("go-gallery").addEventListener("click", part.refresh);
    }
  } catch (error) {
    at("compare-status").replaceChildren(notice("bad", error.message, error.advice));
  }
  document.documentElement.dataset.ready = "true";
}

start();
