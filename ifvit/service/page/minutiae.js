// The examiner's view: minutiae of both prints, paired by the registration and numbered alike.

import { el, say, svg } from "./dom.js";
import { Lens } from "./lens.js";
import { median, px } from "./figures.js";
import { sideBySide } from "./pair.js";

const TAIL = 11;

function mark(minutia, [x, y], number, kind) {
  const turn = (minutia.direction * Math.PI) / 180;
  const tail = svg("line", { x1: x, y1: y, x2: x + TAIL * Math.cos(turn), y2: y + TAIL * Math.sin(turn) });
  const body = minutia.type === "ending"
    ? svg("circle", { cx: x, cy: y, r: 4 })
    : svg("rect", { x: x - 3.8, y: y - 3.8, width: 7.6, height: 7.6 });
  // The number stands behind the mark, where its tail is not.
  const text = number === null ? null : svg("text", {
    x: x - 11 * Math.cos(turn), y: y - 11 * Math.sin(turn) }, String(number));
  return svg("g", { class: `minutia ${kind}` }, tail, body, text);
}

const place = ({ x, y }) => `${x.toFixed(0)}, ${y.toFixed(0)}`;
const types = (a, b) => a.type === b.type ? a.type : `${a.type} / ${b.type}`;

export function minutiaeView(found, images, names) {
  const { print0, print1, pairs, note } = found.evidence.minutiae;
  if (note) return el("p", { class: "quiet" }, note);
  const residuals = pairs.map((pair) => pair.residual_px);
  const summary = `${pairs.length} pairs of ${print0.length} and ${print1.length} minutiae` +
    (pairs.length ? `, residual ${px(median(residuals))} in the median` : "");
  const pair = sideBySide(images, summary);
  const lens = new Lens(images, found, names);
  const [paired0, paired1] = ["index0", "index1"].map((key) => new Set(pairs.map((one) => one[key])));
  print0.forEach((one, i) => {
    if (!paired0.has(i)) pair.layer.append(mark(one, pair.at0([one.x, one.y]), null, "single-one"));
  });
  print1.forEach((one, i) => {
    if (!paired1.has(i)) pair.layer.append(mark(one, pair.at1([one.x, one.y]), null, "single-one"));
  });
  const rows = pairs.map(({ index0, index1, residual_px }, index) => {
    const [one, other] = [print0[index0], print1[index1]];
    const marks = [
      mark(one, pair.at0([one.x, one.y]), index + 1, "paired"),
      mark(other, pair.at1([other.x, other.y]), index + 1, "paired"),
    ];
    pair.layer.append(...marks);
    const text = `Minutia ${index + 1}, ${types(one, other)}: (${place(one)}) and (${place(other)}), ` +
      `residual ${px(residual_px)}`;
    const row = el("tr", {},
      el("th", { scope: "row" }, el("button", { type: "button", class: "number",
        "aria-label": `Show minutia ${index + 1}` }, String(index + 1))),
      el("td", {}, types(one, other)),
      el("td", { class: "digits" }, place(one)), el("td", { class: "digits" }, place(other)),
      el("td", { class: "digits" }, residual_px.toFixed(1)));
    const choose = () => {
      for (const old of view.querySelectorAll(".chosen-one")) old.classList.remove("chosen-one");
      for (const part of [row, ...marks]) part.classList.add("chosen-one");
      pair.layer.append(...marks);
      lens.show([[one.x, one.y], [other.x, other.y]], text);
    };
    row.addEventListener("pointerenter", choose);
    row.addEventListener("focusin", choose);
    row.querySelector("button").addEventListener("click", () => { choose(); say(text); });
    for (const drawn of marks) drawn.addEventListener("pointerenter", choose);
    return { row, choose };
  });
  const table = el("table", { class: "minutiae-table" },
    el("caption", {}, `${summary}. Places in pixels at 500 ppi, from the upper left corner.`),
    el("thead", {}, el("tr", {}, ...["No.", "Type", "In print 1", "In print 2", "Residual, px"]
      .map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows.map((one) => one.row)));
  const legend = el("p", { class: "legend" },
    "○ ridge ending, □ bifurcation; the tail points along the ridge, or between its branches. " +
    "Grey ones have no partner.");
  const scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Minutiae" }, table);
  const view = el("div", { class: "with-lens" },
    el("div", { class: "main" }, pair.whole, legend),
    pairs.length ? lens.whole : null,
    el("div", { class: "rest" }, pairs.length ? scroll : el("p", { class: "quiet" }, summary)));
  rows[0]?.choose();
  return view;
}
