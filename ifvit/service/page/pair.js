// Both prints in one picture, side by side or on a phone one above the other, and where their
// points lie in it.

import { svg } from "./dom.js";

const GAP = 20;

export async function loadImage(uri) {
  const image = new Image();
  image.src = uri;
  await image.decode();
  return image;
}

/** The pictures of a match, decoded. */
export async function pictures(evidence) {
  const [image0, image1, warped1] = await Promise.all(
    [evidence.image0, evidence.image1, evidence.warped1].map(loadImage));
  return { image0, image1, warped1 };
}

export function sideBySide({ image0, image1 }, label) {
  const stacked = matchMedia("(max-width: 32rem)").matches;
  const [width0, height0] = [image0.naturalWidth, image0.naturalHeight];
  const [left, top] = stacked ? [0, height0 + GAP] : [width0 + GAP, 0];
  const width = Math.max(width0, left + image1.naturalWidth);
  const height = Math.max(height0, top + image1.naturalHeight);
  const layer = svg("g");
  const picture = (image, x, y) =>
    svg("image", { href: image.src, x, y, width: image.naturalWidth, height: image.naturalHeight });
  const whole = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: stacked ? "pair stacked" : "pair", role: "img", "aria-label": label },
    picture(image0, 0, 0), picture(image1, left, top), layer,
  );
  const at0 = ([x, y]) => [x + 0.5, y + 0.5];
  const at1 = ([x, y]) => [x + left + 0.5, y + top + 0.5];
  /** Return the point of the picture under a pointer. */
  const under = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY);
    const { x, y } = point.matrixTransform(whole.getScreenCTM().inverse());
    return [x, y];
  };
  /** Tell whether a point of the picture lies on print 2. */
  const onSecond = ([x, y]) => (stacked ? y >= top : x >= left);
  return { whole, layer, at0, at1, under, onSecond };
}

/** Return the index of the nearest point, or -1 where none is within `within` pixels. */
export function nearest(points, [x, y], within) {
  let best = -1;
  let least = within * within;
  points.forEach(([px, py], index) => {
    const far = (px - x) ** 2 + (py - y) ** 2;
    if (far < least) [best, least] = [index, far];
  });
  return best;
}
