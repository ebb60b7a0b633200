// Print 2 laid on print 1: a slider, both in turn, and a checkerboard.

import { el, slider } from "./dom.js";

const FLASH_MS = 700; // far from three flashes a second, which can harm

/** Twice the size of a print, unless a window is too low for that. */
export function widest({ naturalWidth: width, naturalHeight: height }) {
  return `min(${2 * width}px, ${(78 * width / height).toFixed(1)}vh)`;
}

function layered(images, names) {
  const { image0, warped1 } = images;
  const under = el("img", { src: image0.src, alt: names[0] });
  const over = el("img", { src: warped1.src, alt: `${names[1]}, laid on ${names[0]}`, class: "over" });
  const box = el("div", { class: "layered" }, under, over);
  box.style.maxWidth = widest(image0);
  return { box, over };
}

export function sliderView(images, names) {
  const { box, over } = layered(images, names);
  const edge = el("div", { class: "edge" });
  box.append(edge);
  const range = slider("Edge between both prints", { min: 0, max: 100, step: 1, value: 50 },
    (value) => `${names[0]} left of ${value} %, ${names[1]} right`,
    (value) => {
      over.style.clipPath = `inset(0 0 0 ${value}%)`;
      edge.style.left = `${value}%`;
    });
  range.update();
  const drag = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const { left, width } = box.getBoundingClientRect();
    range.input.value = (100 * (event.clientX - left)) / width;
    range.update();
  };
  box.addEventListener("pointerdown", drag);
  box.addEventListener("pointermove", drag);
  return el("div", {}, box, range.whole);
}

export function blinkView(images, names) {
  const { box, over } = layered(images, names);
  const which = el("p", { class: "caption" });
  let clock = null;
  const show = (second) => {
    over.hidden = !second;
    which.textContent = second ? names[1] : names[0];
  };
  const button = el("button", { type: "button" });
  const run = (going) => {
    clearInterval(clock);
    clock = going ? setInterval(() => box.isConnected ? show(over.hidden) : run(false), FLASH_MS) : null;
    button.textContent = going ? "Hold" : "Blink";
    button.setAttribute("aria-pressed", String(going));
  };
  const swap = el("button", { type: "button", onclick: () => { run(false); show(over.hidden); } },
    "Show the other");
  button.addEventListener("click", () => run(clock === null));
  show(false);
  run(!matchMedia("(prefers-reduced-motion: reduce)").matches);
  const whole = el("div", {}, box, el("div", { class: "row" }, button, swap, which));
  whole.addEventListener("left", () => run(false));
  return whole;
}

/** Draw squares of both prints in turn on a canvas. */
export function drawChecks(canvas, { image0, warped1 }, side) {
  const { naturalWidth: width, naturalHeight: height } = image0;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.drawImage(image0, 0, 0);
  for (let y = 0; y < height; y += side) {
    for (let x = ((y / side) % 2) * side; x < width; x += 2 * side) {
      const [w, h] = [Math.min(side, width - x), Math.min(side, height - y)];
      context.drawImage(warped1, x, y, w, h, x, y, w, h);
    }
  }
}

export function checkerView(images, names) {
  const canvas = el("canvas", { role: "img", class: "single",
    "aria-label": `Squares of ${names[0]} and of ${names[1]} in turn` });
  canvas.style.maxWidth = widest(images.image0);
  const range = slider("Side of a square", { min: 12, max: 96, step: 4, value: 32 },
    (value) => `${value} px, ${((value * 25.4) / 500).toFixed(1)} mm`,
    (value) => drawChecks(canvas, images, value));
  range.update();
  return el("div", {}, canvas,
    el("p", { class: "caption" }, "Where the prints agree, ridges go on across the squares' borders."),
    range.whole);
}
