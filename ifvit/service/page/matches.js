// The correspondences: cells of both prints that show the same skin.

import { el, slider, svg, uid } from "./dom.js";
import { Lens } from "./lens.js";
import { nearest, sideBySide } from "./pair.js";

const REACH = 40; // pixels of the prints within which a pointer finds a cell

export function matchesView(found, images, names) {
  const { points0, points1, confidence, inlier } = found.evidence.matches;
  const count = points0.length;
  if (!count) return el("p", { class: "quiet" }, "No cells of the prints correspond.");
  const agreeing = inlier.filter(Boolean).length;
  const pair = sideBySide(
    images, `${count} pairs of cells correspond, ${agreeing} agree with the alignment`);
  const lens = new Lens(images, found, names);
  const shown0 = points0.map(pair.at0);
  const shown1 = points1.map(pair.at1);
  const lines = svg("g", { class: "lines" });
  const dots = svg("g", { class: "dots" });
  // Weak ones first, so that the strong lie on top.
  const order = points0.map((_, i) => i).sort((a, b) => confidence[a] - confidence[b]);
  for (const i of order) {
    const kind = inlier[i] ? "agrees" : "strays";
    const [[x1, y1], [x2, y2]] = [shown0[i], shown1[i]];
    lines.append(svg("line", { class: kind, x1, y1, x2, y2, "stroke-opacity": 0.08 + 0.3 * confidence[i] }));
    for (const [cx, cy] of [shown0[i], shown1[i]]) {
      dots.append(svg("circle", { class: kind, cx, cy, r: 2.6, "fill-opacity": 0.35 + 0.65 * confidence[i] }));
    }
  }
  const chosen = svg("g", { class: "chosen" });
  pair.layer.append(lines, dots, chosen);
  const words = (number) => {
    const i = number - 1;
    const where = ([x, y]) => `(${Math.round(x)}, ${Math.round(y)})`;
    return `${number} of ${count}: ${where(points0[i])} and ${where(points1[i])}, confidence ` +
      `${confidence[i].toFixed(2)}, ${inlier[i] ? "agrees with" : "strays from"} the alignment`;
  };
  const show = (number) => {
    const i = number - 1;
    const half = lens.cell / 2;
    const [[x1, y1], [x2, y2]] = [shown0[i], shown1[i]];
    chosen.replaceChildren(
      svg("line", { x1, y1, x2, y2 }),
      ...[shown0[i], shown1[i]].map(([x, y]) =>
        svg("rect", { x: x - half, y: y - half, width: 2 * half, height: 2 * half })));
    lens.show([points0[i], points1[i]], `Pair ${words(number)}`);
  };
  const range = slider("Pair of cells", { min: 1, max: count, step: 1, value: 1 }, words, show);
  const choose = (event) => {
    const at = pair.under(event);
    const i = nearest(pair.onSecond(at) ? shown1 : shown0, at, REACH);
    if (i < 0) return;
    range.input.value = i + 1;
    range.update();
  };
  pair.whole.addEventListener("pointermove", choose);
  pair.whole.addEventListener("pointerdown", choose);
  const id = uid("lines");
  const every = el("input", { type: "checkbox", id, checked: true });
  every.addEventListener("change", () => lines.toggleAttribute("hidden", !every.checked));
  range.whole.classList.add("long");
  range.input.value = order[count - 1] + 1;
  range.update();
  return el("div", { class: "with-lens" },
    el("div", { class: "main" }, pair.whole,
      el("p", { class: "legend" },
        el("span", {}, el("span", { class: "key agrees" }), `${agreeing} agree with the alignment`),
        el("span", {}, el("span", { class: "key strays" }), `${count - agreeing} stray from it`),
        el("label", { for: id, class: "inline" }, every, " lines"))),
    lens.whole,
    el("div", { class: "rest" }, range.whole));
}
