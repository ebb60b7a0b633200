// Both prints side by side in one picture, and where their points lie in it.

import { svg, uid } from "./dom.js";

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

export function sideBySide({ image0, image1 }, label, names) {
  const offset = image0.naturalWidth + GAP;
  const width = offset + image1.naturalWidth;
  const height = Math.max(image0.naturalHeight, image1.naturalHeight);
  const title = uid("pair");
  const layer = svg("g");
  const picture = (image, x, name) => svg("g", {},
    svg("image", { href: image.src, x, y: 0, width: image.naturalWidth, height: image.naturalHeight }),
    svg("title", {}, name));
  const whole = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "pair", role: "img", "aria-labelledby": title },
    svg("title", { id: title }, label),
    picture(image0, 0, names[0]), picture(image1, offset, names[1]), layer,
  );
  const at0 = ([x, y]) => [x + 0.5, y + 0.5];
  const at1 = ([x, y]) => [x + offset + 0.5, y + 0.5];
  /** Return the point of the picture under a pointer. */
  const under = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY);
    const { x, y } = point.matrixTransform(whole.getScreenCTM().inverse());
    return [x, y];
  };
  // Strokes that keep their width on a screen of any size.
  return { whole, layer, at0, at1, under, offset };
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
