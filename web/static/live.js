// The tiles: each source with its spectrogram, level and tags.
import { bar, make, notify, setBar, svg } from "./dom.js";
import { post, refusal } from "./api.js";
import { Spectrogram } from "./spectrogram.js";
import { percent, say, soundName } from "./texts.js";
import { EventList } from "./eventlist.js";

const LOWEST_DB = -72;

function headphones() {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" },
    svg("path", { d: "M4 15v-3a8 8 0 0 1 16 0v3M4 15h3v5H5a1 1 0 0 1-1-1zM20 15h-3v5h2a1 1 0 0 0 1-1z" }));
}

class Tile {
  constructor(name, store) {
    const { theme } = store;
    this.name = name;
    this.listening = true;
    this.online = true;
    this.state = make("span", { class: "state" });
    this.toggle = make("button", { class: "switch", type: "button", onclick: () => this.switch() });
    const canvas = make("canvas", { role: "img", "aria-label": say("spectrogram", { source: name }) });
    this.spectrogram = new Spectrogram(canvas, theme);
    this.filling = make("i");
    this.levelBar = make("div", { class: "level", role: "meter", "aria-label": say("level"), "aria-valuemin": "-120", "aria-valuemax": "0" }, this.filling);
    this.noiseLine = make("p", { class: "noise", hidden: true });
    this.tags = make("ul", { class: "tags" });
    this.lines = new Map();
    this.level = LOWEST_DB;
    this.along = make("button", { class: "quiet", type: "button", hidden: !store.canListen, "aria-pressed": "false", "aria-label": say("listenAlong", { source: name }), onclick: () => this.listenAlong() }, headphones());
    this.element = make("section", { class: "panel tile", "aria-label": name },
      make("div", { class: "row" }, make("h2", {}, name), this.state, this.along, this.toggle), canvas, this.levelBar, this.noiseLine, this.tags);
    this.hint(say("waiting"));
  }

  hint(sentence) {
    if (!this.lines.size) this.tags.replaceChildren(make("li", { class: "hint" }, sentence));
  }

  wait(model) { // for a model that is loading, if there is one, or for the first tags
    if (this.online === false) this.hint(this.silence());
    else this.hint(model ? say("loading", { model }) : say("waiting"));
  }

  describe(source) {
    this.listening = source.listening;
    this.toggle.textContent = say(source.listening ? "listening" : "paused");
    this.toggle.setAttribute("aria-pressed", String(source.listening));
    if (!this.online) this.hint(this.silence());
  }

  silence() {
    return say(this.listening ? "nothing" : "paused");
  }

  async switch() {
    try {
      await post("listening", { source: this.name, on: !this.listening });
    } catch (error) {
      notify(error.message);
    }
  }

  listenAlong() {
    if (this.sound) this.stopSound();
    else this.startSound(`audio?source=${encodeURIComponent(this.name)}`);
    this.along.setAttribute("aria-pressed", String(Boolean(this.sound)));
  }

  startSound(name) {
    const sound = new Audio(`api/v1/${name}`);
    const end = async (error) => { // the stream is refused, or is over
      if (this.sound !== sound) return; // it was stopped here
      this.stopSound();
      this.along.setAttribute("aria-pressed", "false");
      notify(await refusal(name) ?? error?.message ?? say("soundEnded"));
    };
    sound.addEventListener("ended", () => end());
    sound.addEventListener("error", () => end());
    this.sound = sound;
    sound.play().catch(end);
  }

  stopSound() {
    const { sound } = this;
    this.sound = null;
    sound.pause();
    sound.removeAttribute("src"); // ends the stream
    sound.load();
  }

  status(message) {
    this.online = message.online;
    this.state.textContent = message.online ? "" : say("offline", { reason: message.reason });
    this.state.classList.toggle("bad", !message.online);
    if (!message.online) this.forget();
    this.wait();
  }

  forget() { // what is not heard any more is not shown
    this.lines.clear();
    this.noise(null);
    this.level = LOWEST_DB;
    this.filling.style.transform = "scaleX(0)";
    this.filling.classList.remove("loud");
    this.levelBar.setAttribute("aria-valuenow", "-120");
  }

  noise(levels) {
    this.noiseLine.hidden = !levels || levels.l90 === null;
    if (this.noiseLine.hidden) return;
    const [leq, lmax, l90] = [levels.leq, levels.lmax, levels.l90].map((level) => level.toFixed(1));
    this.noiseLine.textContent = say("noise", { leq, lmax, l90, unit: levels.unit });
  }

  rows(rows) {
    this.spectrogram.add(rows);
    if (!this.online) return; // the last of them, after the news
    this.level = Math.max(rows.level, this.level - 3);
    this.filling.style.transform = `scaleX(${Math.max(0, 1 - this.level / LOWEST_DB)})`;
    this.filling.classList.toggle("loud", rows.peak > -0.1);
  }

  tagging(message) {
    if (!this.online) return; // of a window that was under way
    const heard = new Set(message.heard);
    const before = this.lines;
    this.lines = new Map();
    for (const tag of message.tags) {
      const line = before.get(tag.label) ?? this.line(tag.label);
      line.number.textContent = percent(tag.score);
      setBar(line.bar, tag.score ?? 0);
      line.element.classList.toggle("heard", heard.has(tag.label));
      this.lines.set(tag.label, line);
    }
    this.tags.replaceChildren(...[...this.lines.values()].map((line) => line.element));
    this.levelBar.setAttribute("aria-valuenow", String(message.level_dbfs));
  }

  line(label) {
    const number = make("span", { class: "number" });
    const own = bar(0, soundName(label));
    return { number, bar: own, element: make("li", {}, make("span", {}, soundName(label)), number, own) };
  }
}

export class LiveView {
  constructor(store) {
    this.store = store;
    this.tiles = new Map();
    this.grid = make("div", { class: "tiles" });
    this.recent = new EventList(say("none"));
    this.element = make("div", {}, this.grid, make("section", { class: "panel", id: "recent" }, make("h2", {}, say("recent")), this.recent.element));
    const draw = (now) => {
      if (this.element.isConnected && !document.hidden) for (const tile of this.tiles.values()) tile.spectrogram.draw(now);
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  show() {
    this.events();
  }

  setTheme(theme) {
    for (const tile of this.tiles.values()) tile.spectrogram.setTheme(theme);
  }

  sources(sources) {
    const before = this.tiles;
    this.tiles = new Map(sources.map((source) => [source.name, before.get(source.name) ?? new Tile(source.name, this.store)]));
    for (const source of sources) this.tiles.get(source.name).describe(source);
    this.grid.classList.toggle("single", sources.length === 1);
    const elements = [...this.tiles.values()].map((tile) => tile.element);
    if (elements.some((element, index) => this.grid.children[index] !== element) || this.grid.children.length !== elements.length) {
      this.grid.replaceChildren(...elements);
    }
  }

  status(message) { this.tiles.get(message.source)?.status(message); }

  tagging(message) { this.tiles.get(message.source)?.tagging(message); }

  health(message) {
    const model = message.loading;
    for (const [name, tile] of this.tiles) {
      tile.wait(model);
      tile.noise(tile.online === false ? null : message.sources?.[name]?.noise);
    }
  }

  rows(rows) { [...this.tiles.values()][rows.source]?.rows(rows); }

  note(note) { this.recent.note(note); }

  events() {
    if (this.element.isConnected) this.recent.show(this.store.recent.slice(0, 12));
  }
}
