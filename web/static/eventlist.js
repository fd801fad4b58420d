// A list of events by day: each opens to its clip, and to what a person can say about it.
import { make, notify } from "./dom.js";
import { getBytes, post, refusal } from "./api.js";
import { drawRows } from "./spectrogram.js";
import { clock, dayName, duration, percent, say, soundName } from "./texts.js";

const MARKS = { right: "✓", wrong: "✗" };

function address(event, name) {
  return `api/v1/events/${encodeURIComponent(event.id)}/${name}`;
}

class Line {
  constructor(event, opened) {
    this.event = event;
    this.opened = opened;
    this.name = make("b", {}, soundName(event.label));
    this.verdict = make("span", { class: "verdict" });
    this.about = make("small");
    this.more = make("button", { class: "quiet", type: "button", "aria-label": say("details", { sound: soundName(event.label) }), onclick: () => this.toggle() }, "⋯");
    this.play = event.clip && make("button", { class: "quiet", type: "button", "aria-label": say("play", { sound: soundName(event.label) }), onclick: () => this.playClip() }, "▶");
    this.element = make("li", event.ended_at ? {} : { class: "on" },
      make("time", { datetime: event.started_at }, clock.format(new Date(event.started_at))),
      make("span", {}, this.name, this.verdict, this.about),
      make("span", { class: "links" }, this.play || null, this.more));
    this.describe();
    this.open(opened.has(event.id));
  }

  describe() {
    const { event } = this;
    const began = new Date(event.started_at);
    const isSure = event.confirmed !== false; // without a fast window, every event is
    const length = event.ended_at ? duration((new Date(event.ended_at) - began) / 1000) : say("ongoing");
    const state = isSure ? length : say(event.ended_at ? "takenBack" : "unconfirmed");
    this.about.textContent = `${event.source} · ${state} · ${percent(isSure ? event.score : event.fast_score ?? event.score)}`;
    this.verdict.textContent = event.mark ? `${MARKS[event.mark]} ${say(event.mark)}` : "";
    this.verdict.dataset.mark = event.mark ?? "";
    for (const [mark, button] of Object.entries(this.marks ?? {})) button.setAttribute("aria-pressed", String(event.mark === mark));
    this.keep?.setAttribute("aria-pressed", String(Boolean(event.clip_kept)));
    if (this.keep) this.keep.textContent = say(event.clip_kept ? "kept" : "keep");
  }

  toggle() {
    const isOpen = !this.opened.has(this.event.id);
    if (isOpen) this.opened.add(this.event.id);
    else this.opened.delete(this.event.id);
    this.open(isOpen);
  }

  open(isOpen) {
    this.more.setAttribute("aria-expanded", String(isOpen));
    if (isOpen && !this.panel) this.element.append(this.panel = this.makePanel());
    if (this.panel) this.panel.hidden = !isOpen;
    if (isOpen) this.describe();
  }

  makePanel() {
    const { event } = this;
    this.marks = Object.fromEntries(Object.keys(MARKS).map((mark) => [mark, make("button", {
      type: "button", "data-mark": mark, onclick: () => this.send("mark", { mark: event.mark === mark ? null : mark }),
    }, `${MARKS[mark]} ${say(mark)}`)]));
    const actions = make("div", { class: "actions" }, ...Object.values(this.marks));
    const panel = make("div", { class: "details" });
    if (event.clip) {
      this.player = make("audio", { controls: true, preload: "metadata" });
      this.player.src = address(event, "clip");
      this.keep = make("button", { type: "button", onclick: () => this.send("keep", { keep: !event.clip_kept }) });
      actions.append(this.keep, make("a", { class: "button", download: "", href: `${address(event, "clip")}?download`, "aria-label": say("download", { sound: soundName(event.label) }) }, say("saveClip")));
      this.picture = make("canvas", { role: "img", "aria-label": say("clipPicture"), hidden: true });
      panel.append(this.picture, this.player);
      this.draw();
    }
    if (event.ended_at) actions.append(this.deletion());
    panel.append(actions);
    return panel;
  }

  async draw() {
    try {
      const rows = await getBytes(`events/${encodeURIComponent(this.event.id)}/spectrogram`);
      drawRows(this.picture, rows, document.documentElement.dataset.theme);
      this.picture.hidden = false;
    } catch { /* without a picture, the clip can still be played */ }
  }

  deletion() { // a second click within five seconds deletes
    const button = make("button", { type: "button", class: "danger" }, say("delete"));
    let asked = 0;
    button.addEventListener("click", () => {
      if (Date.now() - asked < 5000) this.send("delete", {});
      else button.textContent = say("deleteSure");
      asked = Date.now();
      setTimeout(() => { if (Date.now() - asked >= 5000) button.textContent = say("delete"); }, 5100);
    });
    return button;
  }

  async send(name, body) {
    try {
      Object.assign(this.event, await post(`events/${encodeURIComponent(this.event.id)}/${name}`, body));
      this.describe();
    } catch (error) {
      notify(error.message);
    }
  }

  playClip() {
    if (!this.opened.has(this.event.id)) this.toggle();
    this.player.play().catch(async (error) => {
      if (error.name === "AbortError") return; // it was paused before it began
      notify(await refusal(`events/${encodeURIComponent(this.event.id)}/clip`) ?? error.message);
    });
  }
}

export class EventList {
  constructor(hint) {
    this.hint = hint;
    this.opened = new Set();
    this.lines = new Map();
    this.element = make("div");
  }

  show(events) {
    const focused = document.activeElement;
    const before = this.lines;
    this.lines = new Map();
    const parts = [];
    let day = null;
    for (const event of events) {
      const name = dayName(new Date(event.started_at));
      if (name !== day) {
        day = name;
        parts.push(make("h3", {}, name), make("ul", { class: "events" }));
      }
      const known = before.get(event.id);
      const line = known && known.event === event ? known : new Line(event, this.opened); // a clip goes on playing
      this.lines.set(event.id, line);
      parts.at(-1).append(line.element);
    }
    if (!events.length) parts.push(make("p", { class: "hint" }, this.hint));
    this.element.replaceChildren(...parts);
    if (this.element.contains(focused)) focused.focus({ preventScroll: true }); // an element that moves loses it
  }

  note(note) {
    const line = this.lines.get(note.id);
    if (!line) return;
    Object.assign(line.event, note);
    line.describe();
  }
}
