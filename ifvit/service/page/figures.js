// Numbers in words.

export function percent(share) {
  const value = 100 * share;
  if (value > 0 && value < 0.001) return "less than 0.001 %";
  const digits = value >= 10 ? 0 : value >= 1 ? 1 : value >= 0.1 ? 2 : 3;
  return `${Number(value.toFixed(digits))} %`;
}

const RAISED = { "-": "⁻", ...Object.fromEntries([..."⁰¹²³⁴⁵⁶⁷⁸⁹"].entries()) };

/** Return a very small share in percent, to one digit, as a power of ten below 0.001 %. */
export function tiny(share) {
  const value = Number((100 * share).toPrecision(1));
  if (value === 0 || value >= 0.001) return `${value} %`;
  const [digit, power] = value.toExponential(0).split("e");
  return `${digit}·10${[...power].map((one) => RAISED[one]).join("")}\u00a0%`;
}

export const px = (value) => `${value.toFixed(1)} px`;

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Quality, 0 to 100, in one word. */
export function graded(quality) {
  if (quality === null || quality === undefined) return "not known";
  if (quality < 40) return "poor";
  return quality < 70 ? "fair" : "good";
}
