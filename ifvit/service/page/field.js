// The displacement field: what the skin's distortion adds to the turn and shift of print 2.

import { el, slider, svg, uid } from "./dom.js";
import { median, px } from "./figures.js";
import { widest } from "./overlays.js";

const LEAST = 0.05;

/** Return the arrows of the field that lie on ridges of both prints, or on the matches' area. */
export function arrowsOf(found) {
  const field = found.evidence.displacement;
  if (!field) return [];
  const points = found.evidence.matches.points0;
  const near = 1.5 * field.cell_px;
  const arrows = [];
  field.values.forEach((row, r) => row.forEach(([dx, dy], c) => {
    const x = field.first0[0] + c * field.cell_px;
    const y = field.first0[1] + r * field.cell_px;
    // Beyond the matches the field is a guess, and is not shown.
    if (points.some(([px0, py0]) => Math.hypot(px0 - x, py0 - y) < near)) {
      arrows.push({ x, y, dx, dy, size: Math.hypot(dx, dy) });
    }
  }));
  return arrows;
}

export function fieldView(found, images, names) {
  const arrows = arrowsOf(found);
  if (!arrows.length) {
    return el("p", { class: "quiet" }, "No distortion was measured between these prints.");
  }
  const sizes = arrows.map((one) => one.size);
  const largest = Math.max(...sizes);
  const label = `The skin moved by ${px(median(sizes))} in the median, at most ${px(largest)}`;
  const { naturalWidth: width, naturalHeight: height } = images.image0;
  const head = uid("head");
  const layer = svg("g", { class: "arrows" });
  const whole = svg("svg",
    { viewBox: `0 0 ${width} ${height}`, class: "single", role: "img", "aria-label": label },
    svg("defs", {}, svg("marker", { id: head, viewBox: "0 0 6 6", refX: 4, refY: 3, markerWidth: 3.2,
      markerHeight: 3.2, orient: "auto-start-reverse" }, svg("path", { d: "M0 0 L6 3 L0 6 z", class: "head" }))),
    svg("image", { href: images.image0.src, width, height, opacity: 0.55 }), layer);
  whole.style.maxWidth = widest(images.image0);
  const draw = (times) => layer.replaceChildren(...arrows.filter((one) => one.size > LEAST).map(
    ({ x, y, dx, dy, size }) => svg("line", {
      x1: x + 0.5, y1: y + 0.5, x2: x + 0.5 + times * dx, y2: y + 0.5 + times * dy,
      "marker-end": `url(#${head})`, "stroke-opacity": (0.45 + (0.55 * size) / largest).toFixed(2),
    })));
  const range = slider("Arrows drawn", { min: 1, max: 8, step: 1, value: 3 },
    (value) => `${value} times as long`, draw);
  range.update();
  return el("div", {}, whole,
    el("p", { class: "caption" }, `${label}, measured in ${names[0]}, where cells correspond.`),
    range.whole);
}
