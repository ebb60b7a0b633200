// The evidence of a match as a file: JSON for programs, and one HTML page that needs nothing else.

import { sentence } from "./decision.js";
import { el } from "./dom.js";
import { percent } from "./figures.js";
import { matchesView } from "./matches.js";
import { minutiaeView } from "./minutiae.js";
import { fieldView } from "./field.js";
import { drawChecks } from "./overlays.js";

const STYLE = `
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}
svg,img{max-width:100%;height:auto;background:#fff;border:1px solid #ccd3db}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.15rem 1rem .15rem 0;text-align:left}
.lines .agrees{stroke:#0f766e}.lines .strays{stroke:#b45309;stroke-dasharray:5 4}
.dots .agrees{fill:#0f766e}.dots .strays{fill:#b45309}
.minutia line{stroke:currentColor;stroke-width:1.6}.minutia circle,.minutia rect{fill:#fff;fill-opacity:.5;stroke:currentColor;stroke-width:1.8}
.minutia text{font:700 12px system-ui,sans-serif;text-anchor:middle;dominant-baseline:central;fill:currentColor;paint-order:stroke;stroke:#fff;stroke-width:3px}
.paired{color:#9d174d}.single-one{color:#64748b}.chosen{display:none}
.arrows line{stroke:#9a3412;stroke-width:1.6}.head{fill:#9a3412}
`;

/** Text as HTML shows it, whatever it holds. */
export function escaped(text) {
  const signs = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return String(text).replace(/[&<>"']/g, (sign) => signs[sign]);
}

function drawing(view, selector = "svg") {
  const found = view.querySelector(selector);
  return found ? new XMLSerializer().serializeToString(found) : `<p>${escaped(view.textContent)}</p>`;
}

function figuresTable(found) {
  const shown = ["status", "score", "fmr", "map_score", "ridge_ncc", "block_share", "coverage",
    "overlap_mm2", "num_matches", "num_inliers", "quality0", "quality1"];
  return shown.map((name) => {
    const value = found[name];
    const text = typeof value === "number" ? Number(value.toPrecision(4)) : value ?? "not known";
    return `<tr><th scope="row">${escaped(name)}</th><td>${escaped(text)}</td></tr>`;
  }).join("");
}

/** Return the evidence of a match as one HTML page. */
export function reportOf(found, images, names, limit) {
  const checks = document.createElement("canvas");
  drawChecks(checks, images, 32);
  const minutiae = minutiaeView(found, images, names);
  const table = minutiae.querySelector("table");
  for (const button of minutiae.querySelectorAll("button")) button.replaceWith(button.textContent);
  const title = `${names[0]} and ${names[1]}`;
  const data = JSON.stringify(found).replaceAll("<", "\\u003c");
  const policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
  const part = (heading, content) => `<h2>${heading}</h2>${content}`;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">` +
    `<meta http-equiv="Content-Security-Policy" content="${policy}">` +
    `<meta name="viewport" content="width=device-width"><title>${escaped(title)}</title>` +
    `<style>${STYLE}</style></head><body><h1>${escaped(title)}</h1>` +
    `<p><strong>${escaped(sentence(found, limit).text)}</strong></p>` +
    `<p>Compared by ifvit on ${escaped(new Date().toISOString().slice(0, 16).replace("T", " "))} UTC; ` +
    `decided at a false match rate of ${escaped(percent(limit))}. ` +
    `Print 1 is ${escaped(names[0])}, print 2 is ${escaped(names[1])}.</p>` +
    part("Figures", `<table>${figuresTable(found)}</table>`) +
    part("Cells that correspond", drawing(matchesView(found, images, names))) +
    part("Minutiae", drawing(minutiae) + (table ? table.outerHTML : "")) +
    part("Checkerboard", `<img alt="Squares of both prints in turn" src="${checks.toDataURL("image/png")}">`) +
    part("Distortion", drawing(fieldView(found, images, names))) +
    `<script type="application/json" id="evidence">${data}</script></body></html>\n`;
}

function save(name, kind, text) {
  const url = URL.createObjectURL(new Blob([text], { type: kind }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function exportButtons(found, images, names) {
  const limit = () => {
    const range = document.querySelector(".decision input[type=range]");
    return range ? 10 ** -Number(range.value) : 1;
  };
  return el("div", { class: "row exports" },
    el("span", {}, "Take the evidence along:"),
    el("button", { type: "button", onclick: () =>
      save("evidence.html", "text/html", reportOf(found, images, names, limit())) }, "One HTML page"),
    el("button", { type: "button", onclick: () =>
      save("evidence.json", "application/json", `${JSON.stringify({ ...found, limit: limit() }, null, 1)}\n`) },
    "JSON"));
}
