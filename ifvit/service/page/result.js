// A match as the page shows it: the decision, the views, and what can be taken along.

import { decisionPanel } from "./decision.js";
import { el, notice, say } from "./dom.js";
import { exportButtons } from "./exports.js";
import { pictures } from "./pair.js";
import { viewTabs } from "./views.js";

/** Names of both prints, told apart where they are one. */
export function namesOf(found) {
  const [first, second] = [found.name0 || "print 1", found.name1 || "print 2"];
  return first === second ? [`${first} (1)`, `${second} (2)`] : [first, second];
}

/** Show a match with its evidence in `place`, and take the focus to its decision. */
export async function showResult(place, found) {
  const names = namesOf(found);
  const { panel, said } = decisionPanel(found);
  place.replaceChildren(panel);
  try {
    const images = await pictures(found.evidence);
    place.append(viewTabs(found, images, names), exportButtons(found, images, names));
  } catch (error) {
    place.append(notice("bad", "The prints cannot be drawn by this browser.", String(error.message ?? "")));
  }
  place.scrollIntoView({ block: "start" });
  said.focus({ preventScroll: true });
  say(said.textContent);
}
