// The gallery: enrol prints, search for one, look at who was found, remove.

import { addPrint, ask, checkSize } from "./api.js";
import { el, notice, say, uid } from "./dom.js";
import { Drop } from "./drop.js";
import { percent } from "./figures.js";
import { withProgress } from "./progress.js";
import { showResult } from "./result.js";

const SHOWN = 200;
const pathOf = (id) => `/api/subjects/${encodeURIComponent(id)}`;

function field(label, attributes) {
  const id = uid("field");
  const input = el("input", { id, maxlength: 200, autocomplete: "off", ...attributes });
  return { whole: el("p", { class: "field" }, el("label", { for: id }, label), input), input };
}

function enrolForm(changed) {
  const drop = new Drop("Print to enrol");
  const subject = field("Whose print it is", { required: true });
  const finger = field("Which finger (if you like)", { placeholder: "right index" });
  const keep = field("Keep the print itself: a decision and the evidence need it",
    { type: "checkbox", checked: true });
  keep.whole.classList.add("check");
  const status = el("div", { class: "status" });
  const send = async (event) => {
    event.preventDefault();
    const print = drop.value();
    if (!print || !subject.input.value.trim()) {
      status.replaceChildren(notice("bad", "A print and the name of its subject are needed."));
      return;
    }
    const told = await withProgress(status, "Enrolling", (signal) => {
      checkSize([print]);
      const body = new FormData();
      addPrint(body, "print", print);
      body.append("subject", subject.input.value.trim());
      body.append("finger", finger.input.value.trim());
      body.append("keep_prints", String(keep.input.checked));
      return ask("/api/enroll", { method: "POST", body, signal });
    });
    if (!told) return;
    const [one] = told.prints;
    const texts = {
      enrolled: `${subject.input.value.trim()} is enrolled; the gallery holds ${told.size} prints.`,
      known: "This print was enrolled before; nothing has changed.",
      refused: `The print was not enrolled: ${one.reason}`,
    };
    status.replaceChildren(notice(one.state === "enrolled" ? "good" : "bad", texts[one.state]));
    say(texts[one.state]);
    if (one.state === "enrolled") drop.take(null);
    changed();
  };
  return el("form", { class: "panel", novalidate: true, onsubmit: send, "aria-label": "Enrol" },
    el("h3", {}, "Enrol"), drop.whole, subject.whole, finger.whole, keep.whole,
    el("button", { type: "submit", class: "primary" }, "Enrol"), status);
}

/** Return a candidate; `ended`: the search found somebody, and compares no further pairs then. */
function card(candidate, number, found, ended, shown) {
  const heading = uid("card");
  const { value, extrapolated } = candidate.fmr ?? {};
  const rate = candidate.fmr ? percent(value) + (extrapolated ? ", extrapolated" : "") : "not known";
  const button = candidate.evidence ? el("button", { type: "button",
    "aria-label": `Evidence for ${candidate.subject || candidate.name}`,
    onclick: () => showResult(shown, { ...candidate.result, evidence: candidate.evidence }) },
  "Evidence") : el("p", { class: "quiet" }, candidate.score === null
    ? ended
      ? "Its templates alone were compared: another finger was found before it, or its print was not kept."
      : "Its print was not kept: by templates alone nothing is decided."
    : "The evidence is shown to who has a token of the role enroll.");
  return el("li", { class: found ? "card found" : "card", "aria-labelledby": heading },
    candidate.evidence ? el("img", { src: candidate.evidence.image1, alt: "", class: "thumb" }) : null,
    el("div", {},
      el("h4", { id: heading }, `${number}. ${candidate.subject || candidate.name || candidate.id}`),
      el("p", { class: "quiet" }, [candidate.finger, candidate.name].filter(Boolean).join(", ")),
      el("p", {}, candidate.score === null
        ? `templates ${candidate.map_score.toFixed(3)}`
        : `score ${candidate.score.toFixed(3)}, false match rate ${rate}`),
      found ? el("p", { class: "badge" }, "found") : null, button));
}

function searchForm() {
  const drop = new Drop("Print to search for");
  const status = el("div", { class: "status" });
  const answer = el("div", {});
  const shown = el("div", {});
  const send = async (event) => {
    event.preventDefault();
    const probe = drop.value();
    if (!probe) {
      status.replaceChildren(notice("bad", "A print to search for is needed."));
      return;
    }
    answer.replaceChildren();
    shown.replaceChildren();
    const told = await withProgress(status, "Searching", async (signal) => {
      checkSize([probe]);
      const asked = (evidence) => {
        const body = new FormData();
        addPrint(body, "probe", probe);
        body.append("evidence", String(evidence));
        body.append("top", "4");
        return ask("/api/search", { method: "POST", body, signal });
      };
      try {
        return await asked(true);
      } catch (error) {
        if (error.code !== "lesser_token") throw error;
        return asked(false);
      }
    });
    if (!told) return;
    const count = told.found.length;
    const strangers = `at most ${percent(told.fpir)} of strangers find somebody`;
    const text = !told.decided
      ? `Nothing is decided among ${told.size} prints; the most alike come first.`
      : count ? `${count === 1 ? "One finger is" : `${count} fingers are`} found among ${told.size} ` +
        `prints (${strangers}).` : `Nobody is found among ${told.size} prints (${strangers}).`;
    answer.replaceChildren(
      el("p", { class: "verdict" }, text),
      el("ol", { class: "cards" }, ...told.candidates.map((one, i) =>
        card(one, i + 1, told.found.includes(one.id), count > 0, shown))));
    say(text);
  };
  const form = el("form", { class: "panel", novalidate: true, onsubmit: send, "aria-label": "Search" },
    el("h3", {}, "Search"), drop.whole,
    el("button", { type: "submit", class: "primary" }, "Search"), status);
  return { form, results: el("div", { class: "results" }, answer, shown) };
}

/** Ask before somebody is removed; resolve to whether, and whether from older versions too. */
function confirmed(subject) {
  const title = uid("dialog");
  const purge = field("Also from older versions of the gallery, for ever", { type: "checkbox" });
  purge.whole.classList.add("check");
  const dialog = el("dialog", { "aria-labelledby": title },
    el("form", { method: "dialog" },
      el("h3", { id: title }, `Remove ${subject}?`),
      el("p", {}, "All prints of this subject are removed."),
      purge.whole,
      el("div", { class: "row" },
        el("button", { value: "keep", autofocus: true }, "Keep"),
        el("button", { value: "remove", class: "danger" }, "Remove"))));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove();
    resolve({ remove: dialog.returnValue === "remove", purge: purge.input.checked });
  }));
}

function subjectList() {
  const heading = el("h3", { tabindex: "-1" }, "Who is enrolled");
  const list = el("ul", { class: "subjects" });
  const more = el("p", { class: "quiet", hidden: true }, `The first ${SHOWN} are shown.`);
  const status = el("div", { class: "status" });
  const remove = async (subject, from) => {
    const sure = await confirmed(subject);
    if (!sure.remove) {
      from.focus();
      return;
    }
    const told = await withProgress(status, "Removing", (signal) =>
      ask(`${pathOf(subject)}?purge=${sure.purge}`, { method: "DELETE", signal }));
    await refresh();
    heading.focus();
    if (told) status.replaceChildren(notice("good", `${subject} is removed.`));
    if (told) say(`${subject} is removed.`);
  };
  const refresh = async () => {
    let told;
    try {
      told = await ask(`/api/subjects?limit=${SHOWN}`);
    } catch (error) {
      status.replaceChildren(notice("bad", error.message, error.advice));
      return;
    }
    heading.textContent = `Who is enrolled: ${told.total}`;
    more.hidden = told.total <= told.subjects.length;
    list.replaceChildren(...told.subjects.map(({ subject, fingers, prints }) => el("li", {},
      el("span", { class: "who" }, subject || "nobody by name"),
      el("span", { class: "quiet" }, [`${prints} ${prints === 1 ? "print" : "prints"}`, ...fingers].join(", ")),
      subject ? el("button", { type: "button", class: "small", "aria-label": `Remove ${subject}`,
        onclick: (event) => remove(subject, event.currentTarget) }, "Remove") : null)));
  };
  return { whole: el("section", { class: "panel", "aria-label": "Who is enrolled" }, heading, status, list, more), refresh };
}

export function galleryPart(place) {
  const listed = subjectList();
  const searched = searchForm();
  place.append(
    el("div", { class: "columns" }, searched.form, enrolForm(listed.refresh)),
    searched.results, listed.whole);
  return { refresh: listed.refresh };
}
