// Events: the history with filters, and the hours of the day.
import { make, notify, svg } from "./dom.js";
import { get } from "./api.js";
import { EventList } from "./eventlist.js";
import { say } from "./texts.js";

const PAGE = 100;
const PERIODS = [["day", 1], ["week", 7], ["month", 30], ["everything", null]];

function heatMap(summary) {
  const narrow = window.innerWidth < 600; // names above their rows
  const [height, label, cell, top] = narrow ? [38, 0, 12.5, 18] : [22, 170, 20, 2];
  const sounds = summary.sounds.slice(0, 12);
  const most = Math.max(1, ...sounds.flatMap((sound) => sound.hours));
  const picture = svg("svg", { class: "heat", viewBox: `0 0 ${label + 24 * cell} ${sounds.length * height + 18}`, role: "img", "aria-label": say("hours") });
  sounds.forEach((sound, row) => {
    const name = svg("text", { x: 0, y: row * height + (narrow ? 13 : 15) });
    name.textContent = sound.label.length > 22 ? `${sound.label.slice(0, 21)}…` : sound.label;
    picture.append(name);
    sound.hours.forEach((count, hour) => {
      const title = svg("title");
      title.textContent = say("heat", { sound: sound.label, hour, count });
      const box = svg("rect", { x: label + hour * cell, y: row * height + top, width: cell - 2, height: 18, rx: 3 }, title);
      if (count) box.style.opacity = 0.25 + 0.75 * Math.sqrt(count / most);
      else box.setAttribute("class", "none");
      picture.append(box);
    });
  });
  for (let hour = 0; hour < 24; hour += 6) {
    const text = svg("text", { x: label + hour * cell, y: sounds.length * height + 14 });
    text.textContent = String(hour);
    picture.append(text);
  }
  return picture;
}

function spreadsheet(events) {
  // A cell that begins like a formula gets an apostrophe: names come from outside.
  const cell = (value) => `"${String(value ?? "").replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`;
  const columns = ["id", "source", "label", "score", "started_at", "ended_at", "length_seconds", "mark"];
  return [columns, ...events.map((event) => columns.map((column) => event[column]))].map((row) => row.map(cell).join(",")).join("\r\n");
}

export class EventsView {
  constructor(store) {
    this.store = store;
    this.found = [];
    this.sound = make("select", { id: "filter-sound", onchange: () => this.load() });
    this.source = make("select", { id: "filter-source", onchange: () => this.load() });
    this.period = make("select", { id: "filter-period", onchange: () => this.load() },
      ...PERIODS.map(([key, days]) => make("option", { value: String(days ?? "") }, say(key))));
    this.score = make("input", { id: "filter-score", type: "number", min: "0", max: "100", step: "5", value: "0", inputmode: "numeric", onchange: () => this.load() });
    this.heat = make("div");
    this.list = new EventList(say("noneFound"));
    this.more = make("button", { type: "button", hidden: true, onclick: () => this.load(true) }, say("more"));
    const save = make("button", { type: "button", onclick: () => this.save() }, say("csv"));
    const filters = [["sound", this.sound], ["source", this.source], ["period", this.period], ["leastScore", this.score]];
    this.element = make("div", {},
      make("section", { class: "panel filters" }, ...filters.map(([key, field]) => make("label", { for: field.id }, `${say(key)}${key === "leastScore" ? " (%)" : ""}`, field))),
      make("section", { class: "panel" }, make("h2", {}, say("hours")), this.heat),
      make("section", { class: "panel" }, make("div", { class: "row" }, make("h2", {}, say("events")), save), this.list.element, this.more));
  }

  show() {
    this.options(this.source, say("allSources"), this.store.sources.map((source) => source.name));
    this.load();
  }

  options(select, all, names) {
    const chosen = select.value;
    select.replaceChildren(make("option", { value: "" }, all), ...names.map((name) => make("option", { value: name }, name)));
    select.value = names.includes(chosen) ? chosen : "";
  }

  query() {
    const days = this.period.value;
    return {
      source: this.source.value,
      since: days ? Math.round(Date.now() / 1000 - 86_400 * days) : "",
      score: Math.max(0, Number(this.score.value) || 0) / 100,
    };
  }

  async load(more = false) {
    const query = { ...this.query(), label: this.sound.value, limit: PAGE };
    if (more && this.found.length) query.until = new Date(this.found.at(-1).started_at).getTime() / 1000;
    try {
      const [answer, summary] = await Promise.all([get("events", query), more ? null : get("summary", this.query())]);
      this.found = more ? [...this.found, ...answer.events] : answer.events;
      this.more.hidden = answer.events.length < PAGE;
      this.list.show(this.found);
      if (summary) {
        this.heat.replaceChildren(summary.sounds.length ? heatMap(summary) : make("p", { class: "hint" }, say("noneFound")));
        this.options(this.sound, say("allSounds"), summary.sounds.map((sound) => sound.label));
      }
    } catch (error) {
      notify(error.message);
    }
  }

  note(note) { this.list.note(note); }

  forget(id) {
    this.found = this.found.filter((event) => event.id !== id);
    if (this.list.lines.has(id)) this.list.show(this.found);
  }

  save() {
    const file = new Blob([spreadsheet(this.found)], { type: "text/csv" });
    const link = make("a", { href: URL.createObjectURL(file), download: "earshot-events.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
}
