// Watched sounds: their scores now, and thresholds to drag.
import { bar, make, notify, setBar } from "./dom.js";
import { get, post } from "./api.js";
import { original, percent, say, searchName, soundName } from "./texts.js";

class Watched {
  constructor(source, sound) {
    this.source = source;
    this.sound = sound;
    this.dragging = false;
    this.bar = bar(0, soundName(sound));
    this.number = make("span", { class: "number" });
    this.slider = make("input", { type: "range", min: "1", max: "100", step: "1", "aria-label": say("threshold", { sound: soundName(sound) }),
      oninput: () => { this.dragging = true; this.describe(); }, onchange: () => this.choose() });
    const remove = make("button", { class: "quiet", type: "button", "aria-label": say("remove", { sound: soundName(sound) }), onclick: () => this.remove() }, "✕");
    this.hours = make("input", { "aria-label": say("quietHours", { sound: soundName(sound) }), placeholder: "22:00-07:00", autocomplete: "off", maxlength: "200",
      onchange: () => this.chooseQuiet(), onkeydown: (event) => { if (event.key === "Escape") this.openQuiet(false); } });
    this.moon = make("button", { class: "quiet", type: "button", "aria-label": say("quietHours", { sound: soundName(sound) }), "aria-expanded": "false",
      onclick: () => this.openQuiet(this.quietLine.hidden) }, "☾");
    this.quietLine = make("label", { class: "hours", hidden: true }, say("quietLabel"), this.hours, make("small", {}, say("quietHint")));
    this.element = make("li", {}, make("b", {}, soundName(sound)), this.number, this.moon, remove, make("div", { class: "slider" }, this.bar, this.slider), this.quietLine);
  }

  openQuiet(open) {
    this.showHours(); // what was typed and not entered is forgotten, before the focus moves
    this.quietLine.hidden = !open;
    this.moon.setAttribute("aria-expanded", String(open));
    (open ? this.hours : this.moon).focus();
  }

  setQuiet(quiet) {
    this.quiet = quiet;
    this.moon.classList.toggle("set", quiet !== "never");
    this.moon.title = quiet === "never" ? say("quietNever") : say("quietAt", { quiet });
    if (document.activeElement !== this.hours) this.showHours();
  }

  showHours() {
    this.hours.value = this.quiet === "never" ? "" : this.quiet;
  }

  async chooseQuiet() {
    try {
      await post("quiet", { source: this.source, sound: this.sound, quiet: this.hours.value.trim() || "never" });
    } catch (error) {
      notify(error.message);
    }
  }

  describe() {
    this.number.textContent = percent(this.slider.value / 100);
  }

  setThreshold(threshold) {
    if (this.dragging) return;
    this.slider.value = String(Math.max(1, Math.round(100 * threshold)));
    this.describe();
  }

  async choose() {
    try {
      await post("watch", { source: this.source, sound: this.sound, threshold: this.slider.value / 100 });
    } catch (error) {
      notify(error.message);
    }
    this.dragging = false;
  }

  async remove() {
    await post("unwatch", { source: this.source, sound: this.sound }).catch((error) => notify(error.message));
  }
}

export class SoundsView {
  constructor(store) {
    this.store = store;
    this.lists = new Map();
    this.names = make("datalist", { id: "sounds" });
    this.panels = make("div", { class: "tiles" });
    const save = make("button", { class: "main", type: "button", id: "save", onclick: () => this.save() }, say("save"));
    this.element = make("div", {}, make("p", { class: "hint" }, say("hint")), this.panels, this.names, make("p", {}, save));
  }

  async show() {
    try {
      const { sounds } = await get("sounds");
      this.names.replaceChildren(...sounds.map((sound) => make("option", { value: searchName(sound) }, searchName(sound) === sound ? "" : sound)));
    } catch (error) {
      notify(error.message);
    }
  }

  sources(sources) {
    const before = this.lists;
    this.lists = new Map();
    for (const source of sources) {
      const panel = before.get(source.name) ?? this.panel(source.name);
      const sounds = new Map();
      for (const { sound, threshold, quiet } of source.watched) {
        const line = panel.sounds.get(sound) ?? new Watched(source.name, sound);
        line.setThreshold(threshold);
        line.setQuiet(quiet);
        sounds.set(sound, line);
      }
      const elements = [...sounds.values()].map((line) => line.element);
      if (elements.length !== panel.list.children.length || elements.some((element, index) => panel.list.children[index] !== element)) {
        panel.list.replaceChildren(...elements);
      }
      panel.sounds = sounds;
      this.lists.set(source.name, panel);
    }
    const panels = [...this.lists.values()].map((panel) => panel.element);
    if (panels.length !== this.panels.children.length || panels.some((panel, index) => this.panels.children[index] !== panel)) {
      this.panels.replaceChildren(...panels);
    }
  }

  panel(source) {
    const field = make("input", { list: "sounds", "aria-label": say("addSound"), placeholder: say("addSound"), autocomplete: "off" });
    field.style.flex = "1";
    field.style.minWidth = "0";
    const form = make("form", { class: "row", onsubmit: async (event) => {
      event.preventDefault();
      try {
        await post("watch", { source, sound: original(field.value.trim()) });
        field.value = "";
      } catch (error) {
        notify(error.message);
      }
    } }, field, make("button", { type: "submit" }, say("watch")));
    const list = make("ul", { class: "watched" });
    return { list, sounds: new Map(), element: make("section", { class: "panel tile" }, make("h2", {}, source), list, form) };
  }

  tagging(message) {
    const panel = this.lists.get(message.source);
    if (!panel || !this.element.isConnected) return;
    for (const [sound, score] of message.watched) {
      const line = panel.sounds.get(sound);
      if (line) setBar(line.bar, score ?? 0);
    }
  }

  async save() {
    try {
      const { file } = await post("save");
      notify(say("saved", { file }));
    } catch (error) {
      notify(error.message);
    }
  }
}
