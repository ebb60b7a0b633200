// The decision: one sentence, a gauge of the false match rate, and what it was decided by.

import { el, say, slider, svg } from "./dom.js";
import { graded, percent, tiny } from "./figures.js";

const MOST = 4; // decades: the gauge goes from 100 % to 0.01 %
const EDGE = 10;
const WIDE = 400;
const USUAL = 3; // an FMR of 0.1 %

export const decades = (fmr) => Math.min(MOST, Math.max(0, -Math.log10(fmr)));

/** Return the decision as one sentence, and whether the pair is accepted (null: not decided). */
export function sentence(found, limit) {
  if (found.status !== "ok") {
    return { accepted: false, text: `The prints could not be laid on each other: ${found.reason}.` };
  }
  if (found.fmr === null || found.fmr === undefined) {
    return {
      accepted: null,
      text: `Score ${found.score.toFixed(3)} of at most 1; these weights are not calibrated, so ` +
        "that no false match rate is known.",
    };
  }
  const accepted = found.fmr <= limit * (1 + 1e-9);
  const verdict = accepted ? "Taken for one finger" : "Not taken for one finger";
  return {
    accepted,
    text: `${verdict} at a false match rate of ${percent(limit)}: of pairs of different fingers, ` +
      `up to ${percent(found.fmr)} score as high as this one.`,
  };
}

function gauge(found) {
  const x = (value) => EDGE + (WIDE * value) / MOST;
  const accept = svg("rect", { class: "accept", y: 18, height: 16, rx: 3 });
  const limit = svg("line", { class: "limit", y1: 10, y2: 42 });
  const at = x(decades(found.fmr));
  const ticks = [0, 1, 2, 3, 4].map((value) =>
    svg("g", {},
      svg("line", { class: "tick", x1: x(value), x2: x(value), y1: 34, y2: 40 }),
      svg("text", { x: x(value), y: 53, "text-anchor": value === 0 ? "start" : value === MOST ? "end" : "middle" },
        percent(10 ** -value))));
  const whole = svg(
    "svg",
    { viewBox: `0 0 ${WIDE + 2 * EDGE} 58`, class: "gauge", role: "img",
      "aria-label": `This pair's false match rate is ${percent(found.fmr)} or less` },
    svg("rect", { class: "track", x: EDGE, y: 18, width: WIDE, height: 16, rx: 3 }),
    accept, ticks, limit,
    svg("path", { class: "needle", d: `M${at} 15 l-6 -11 h12 z` }),
    svg("line", { class: "needle", x1: at, x2: at, y1: 14, y2: 34 }),
  );
  const move = (value) => {
    accept.setAttribute("x", x(value));
    accept.setAttribute("width", Math.max(0, x(MOST) - x(value)));
    limit.setAttribute("x1", x(value));
    limit.setAttribute("x2", x(value));
  };
  return { whole, move };
}

function qualityOf(name, quality) {
  const known = quality !== null && quality !== undefined;
  const text = known ? `${Math.round(quality)} of 100, ${graded(quality)}` : "not known";
  return el("div", { class: "measure" },
    el("dt", {}, `Quality of ${name}`),
    el("dd", {},
      known ? el("meter", { min: 0, max: 100, low: 40, high: 70, optimum: 100, value: quality,
        "aria-label": `Quality of ${name}` }) : null,
      el("span", {}, text)));
}

function part(name, value, about, digits = 3) {
  const text = value === null || value === undefined ? "not computed" : value.toFixed(digits);
  return el("div", { class: "measure" }, el("dt", { title: about }, name), el("dd", {}, text));
}

function extrapolatedOf(rate) {
  if (!rate) return null;
  return el("div", { class: "measure" },
    el("dt", { title: "Below what was counted: the tail of the impostor scores, continued. A model's, no measurement" },
      "False match rate, extrapolated"),
    el("dd", {}, `${tiny(rate.value)}, up to ${tiny(rate.high)}`));
}

export function decisionPanel(found) {
  const said = el("p", { class: "verdict", tabindex: "-1" });
  const show = (limit) => {
    const { accepted, text } = sentence(found, limit);
    said.textContent = text;
    said.classList.toggle("yes", accepted === true);
    said.classList.toggle("no", accepted === false);
    panel.dataset.accepted = String(accepted);
  };
  const panel = el("section", { class: "panel decision", "aria-label": "Decision" }, said);
  if (found.fmr !== null && found.fmr !== undefined) {
    const drawn = gauge(found);
    const range = slider("Accept up to a false match rate of",
      { min: 0, max: MOST, step: 0.1, value: USUAL },
      (value) => percent(10 ** -value),
      (value) => { drawn.move(value); show(10 ** -value); });
    panel.append(el("div", { class: "gauge-box" }, drawn.whole, range.whole));
    range.update();
    range.input.addEventListener("change", () => say(said.textContent));
  } else show(1);
  panel.append(el("dl", { class: "measures" },
    qualityOf(found.name0 || "print 1", found.quality0),
    qualityOf(found.name1 || "print 2", found.quality1),
    extrapolatedOf(found.fmr_extrapolated),
    part("Score", found.score, "Fuses what follows; in [-1, 1]"),
    part("Dense maps alike", found.map_score, "Cosine of both prints' dense maps"),
    part("Ridges correlate", found.ridge_ncc, "Correlation of enhanced ridges, distortion removed"),
    part("Blocks agree", found.block_share, "Share of the overlap whose ridges agree"),
    part("Matches cover", found.coverage, "Confidence of the matches, a cell of the overlap"),
    part("Overlap, mm²", found.overlap_mm2, "Area that shows ridges in both prints", 1)));
  return { panel, said };
}
