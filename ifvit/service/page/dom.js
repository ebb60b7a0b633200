// Elements made from code. Text is always set as text: no name from outside becomes HTML.

const SVG = "http://www.w3.org/2000/svg";

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else made.setAttribute(name, String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

let count = 0;

/** Return an id that no other element has. */
export function uid(stem) {
  count += 1;
  return `${stem}-${count}`;
}

/** Say something to those who listen to the page. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

export function notice(kind, text, advice = "") {
  return el(
    "div",
    { class: `notice ${kind}`, role: kind === "bad" ? "alert" : undefined },
    el("p", {}, text),
    advice ? el("p", { class: "quiet" }, advice) : null,
  );
}

/** A range with its label and its value in words. */
export function slider(label, { min, max, step, value }, words, changed) {
  const id = uid("range");
  const shown = el("output", { for: id });
  const input = el("input", { id, type: "range", min, max, step, value });
  const update = () => {
    const text = words(Number(input.value));
    shown.textContent = text;
    input.setAttribute("aria-valuetext", text);
    changed(Number(input.value));
  };
  input.addEventListener("input", update);
  const whole = el("div", { class: "slider" }, el("label", { for: id }, label), input, shown);
  return { whole, input, update };
}
