// The ways to look at a match, as tabs: arrow keys go from one to the next.

import { el, uid } from "./dom.js";
import { fieldView } from "./field.js";
import { matchesView } from "./matches.js";
import { minutiaeView } from "./minutiae.js";
import { blinkView, checkerView, sliderView } from "./overlays.js";

const VIEWS = [
  ["Cells", matchesView],
  ["Minutiae", minutiaeView],
  ["Slider", (_, images, names) => sliderView(images, names)],
  ["Blink", (_, images, names) => blinkView(images, names)],
  ["Checkerboard", (_, images, names) => checkerView(images, names)],
  ["Distortion", fieldView],
];

export function viewTabs(found, images, names) {
  const panel = el("div", { class: "panel view", role: "tabpanel", id: uid("view") });
  const list = el("div", { class: "tabs", role: "tablist", "aria-label": "Ways to look at the match" });
  const tabs = VIEWS.map(([name, make], index) => {
    const tab = el("button", { type: "button", role: "tab", id: uid("tab"), "aria-controls": panel.id }, name);
    tab.addEventListener("click", () => open(index));
    tab.make = make;
    return tab;
  });
  const open = (index) => {
    panel.firstElementChild?.dispatchEvent(new Event("left"));
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === index));
      tab.tabIndex = i === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", tabs[index].id);
    panel.replaceChildren(tabs[index].make(found, images, names));
  };
  list.addEventListener("keydown", (event) => {
    const now = tabs.indexOf(document.activeElement);
    const steps = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1 };
    if (!(event.key in steps) || now < 0) return;
    event.preventDefault();
    const next = (steps[event.key] + tabs.length) % tabs.length;
    tabs[next].focus();
    open(next);
  });
  list.append(...tabs);
  open(0);
  return el("section", { class: "views", "aria-label": "Evidence" }, list, panel);
}
