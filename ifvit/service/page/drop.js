// A place to drop a print on, or to choose one by keyboard, with its resolution.

import { el, uid } from "./dom.js";

export class Drop {
  constructor(title) {
    const [file, ppi] = [uid("file"), uid("ppi")];
    this.given = null;
    this.input = el("input", { id: file, type: "file", class: "sr-only", "aria-label": `${title}: choose a file`,
      accept: "image/*,.wsq,.jp2,.pgm,.tif,.tiff,.bmp" });
    this.ppi = el("input", { id: ppi, type: "number", min: 100, max: 4000, step: 1, value: 500 });
    this.picture = el("img", { alt: "", class: "thumb", hidden: true });
    this.hint = el("span", { class: "hint" }, "Drop an image here");
    this.zone = el(
      "div",
      { class: "zone" },
      this.picture,
      el("div", { class: "pick" },
        el("span", { class: "title" }, title), this.hint, this.input,
        el("label", { for: file, class: "choose", "aria-hidden": "true" }, "Choose a file")),
    );
    this.whole = el(
      "div",
      { class: "drop" },
      this.zone,
      el("label", { for: ppi, class: "inline" }, "Resolution, ppi ", this.ppi),
    );
    this.input.addEventListener("change", () => this.take(this.input.files[0] ?? null));
    for (const [event, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
      this.zone.addEventListener(event, (happened) => {
        happened.preventDefault();
        this.zone.classList.toggle("over", over);
        if (event === "drop" && happened.dataTransfer.files.length) {
          this.take(happened.dataTransfer.files[0]);
        }
      });
    }
  }

  take(file) {
    this.given = file;
    if (this.picture.src) URL.revokeObjectURL(this.picture.src);
    this.picture.removeAttribute("src");
    this.picture.hidden = true;
    this.hint.textContent = file ? file.name : "Drop an image here";
    this.zone.classList.toggle("full", Boolean(file));
    if (!file) return;
    const url = URL.createObjectURL(file);
    // Formats that a browser cannot draw, such as WSQ, are shown once they are compared.
    this.picture.onload = () => { this.picture.hidden = false; };
    this.picture.src = url;
  }

  /** Return the print and its resolution, or null; the field says what is wrong. */
  value() {
    const ppi = Number(this.ppi.value);
    const fits = ppi >= 100 && ppi <= 4000;
    this.ppi.setAttribute("aria-invalid", String(!fits));
    return this.given && fits ? { file: this.given, ppi } : null;
  }
}
