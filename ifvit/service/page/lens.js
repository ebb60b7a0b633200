// One pair of cells enlarged in both prints; print 2 is turned so that both look alike.

import { el } from "./dom.js";

const SIDE = 320;
const SHOWN_CELLS = 3.5;

export class Lens {
  constructor({ image0, image1 }, found, names) {
    this.images = [image0, image1];
    this.cell = found.evidence.displacement?.cell_px ?? 16;
    const angle = (found.alignment.angle * Math.PI) / 180;
    this.turns = [0, angle];
    this.canvases = names.map((name) =>
      el("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": `${name}, enlarged` }));
    this.caption = el("p", { class: "caption" });
    const turned = found.alignment.angle.toFixed(1).replace("-", "−");
    this.whole = el("div", { class: "lens" },
      ...this.canvases.map((canvas, side) => el("figure", {}, canvas,
        el("figcaption", {}, side ? `${names[1]}, turned back by ${turned}°` : names[0]))),
      this.caption);
  }

  /** Show the points (x, y) of both prints, either of which may be missing. */
  show(points, text) {
    points.forEach((point, side) => this.draw(side, point));
    this.caption.textContent = text;
  }

  draw(side, point) {
    const context = this.canvases[side].getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, SIDE, SIDE);
    if (!point) return;
    const scale = SIDE / (SHOWN_CELLS * this.cell);
    const [cos, sin] = [Math.cos(this.turns[side]), Math.sin(this.turns[side])];
    const [x, y] = [point[0] + 0.5, point[1] + 0.5];
    const middle = SIDE / 2;
    context.setTransform(
      scale * cos, -scale * sin, scale * sin, scale * cos,
      middle - scale * (cos * x + sin * y), middle - scale * (cos * y - sin * x));
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.images[side], 0, 0);
    context.setTransform(1, 0, 0, 1, 0, 0);
    const half = (scale * this.cell) / 2;
    for (const [style, width] of [["#fff", 5], ["#0f766e", 2.5]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.strokeRect(middle - half, middle - half, 2 * half, 2 * half);
    }
  }
}
