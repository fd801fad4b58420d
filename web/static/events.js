// Events: the history with filters, and the hours of the day.
import { choose, make, notify, svg } from "./dom.js";
import { get } from "./api.js";
import { EventList } from "./eventlist.js";
import { say, soundName, shortDay, weekday } from "./texts.js";

const PAGE = 100;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone ?? ""; // hours as in the list, wherever Earshot runs
const FORMS = [["csv", "CSV"], ["json", "JSON"], ["audacity", "Audacity"], ["raven", "Raven"]];
const PERIODS = [["day", 1], ["week", 7], ["month", 30], ["everything", null]];

const VIEWS = {
  sounds: (summary) => summary.sounds.slice(0, 12).map(({ label, hours }) => ({ name: soundName(label), hours })),
  weekdays: (summary) => summary.weekdays.map((hours, day) => ({ name: weekday(day), hours })),
  days: (summary) => summary.days.slice(0, 31).map(({ date, hours }) => ({ name: shortDay(new Date(`${date}T12:00`)), hours })),
};

function heatMap(rows) {
  const narrow = window.innerWidth < 600; // names above their rows
  const [height, label, cell, top] = narrow ? [38, 0, 12.5, 18] : [22, 170, 20, 2];
  const most = Math.max(1, ...rows.flatMap((row) => row.hours));
  const picture = svg("svg", { class: "heat", viewBox: `0 0 ${label + 24 * cell} ${rows.length * height + 18}`, role: "img", "aria-label": say("hours") });
  rows.forEach((row, index) => {
    const name = svg("text", { x: 0, y: index * height + (narrow ? 13 : 15) });
    const longest = narrow ? 40 : 22;
    name.textContent = row.name.length > longest ? `${row.name.slice(0, longest - 1)}…` : row.name;
    picture.append(name);
    row.hours.forEach((count, hour) => {
      const title = svg("title");
      title.textContent = say("heat", { sound: row.name, hour, count });
      const box = svg("rect", { x: label + hour * cell, y: index * height + top, width: cell - 2, height: 18, rx: 3 }, title);
      if (count) box.style.opacity = 0.25 + 0.75 * Math.sqrt(count / most);
      else box.setAttribute("class", "none");
      picture.append(box);
    });
  });
  for (let hour = 0; hour < 24; hour += 6) {
    const text = svg("text", { x: label + hour * cell, y: rows.length * height + 14 });
    text.textContent = String(hour);
    picture.append(text);
  }
  return picture;
}

function busiest(summary) { // a sentence about the loud and the quiet hours
  const totals = Array.from({ length: 24 }, (_, hour) => summary.sounds.reduce((sum, sound) => sum + sound.hours[hour], 0));
  const most = totals.indexOf(Math.max(...totals));
  const quiet = totals.filter((count) => !count).length;
  return say("busiest", { hour: most, next: (most + 1) % 24, count: totals[most], quiet });
}

export class EventsView {
  constructor(store) {
    this.store = store;
    this.found = [];
    this.next = null; // the place of the events that follow
    this.turn = 0;
    this.sound = make("select", { id: "filter-sound", onchange: () => this.load() });
    this.source = make("select", { id: "filter-source", onchange: () => this.load() });
    this.period = make("select", { id: "filter-period", onchange: () => this.load() },
      ...PERIODS.map(([key, days]) => make("option", { value: String(days ?? "") }, say(key))));
    this.score = make("input", { id: "filter-score", type: "number", min: "0", max: "100", step: "5", value: "0", inputmode: "numeric", onchange: () => this.load() });
    this.heat = make("div");
    this.list = new EventList(say("noneFound"));
    this.more = make("button", { type: "button", hidden: true, onclick: () => this.load(true) }, say("more"));
    this.view = "sounds";
    this.views = choose(Object.keys(VIEWS).map((name) => [name, say(`by_${name}`)]), this.view, (name) => { this.view = name; this.draw(); });
    const save = make("select", { id: "save-as", "aria-label": say("saveAs"), onchange: () => { this.save(save.value); save.value = ""; } },
      make("option", { value: "" }, say("saveAs")), ...FORMS.map(([form, name]) => make("option", { value: form }, name)));
    const filters = [["sound", this.sound], ["source", this.source], ["period", this.period], ["leastScore", this.score]];
    this.element = make("div", {},
      make("section", { class: "panel filters" }, ...filters.map(([key, field]) => make("label", { for: field.id }, `${say(key)}${key === "leastScore" ? " (%)" : ""}`, field))),
      make("section", { class: "panel" }, make("div", { class: "row" }, make("h2", {}, say("hours")), this.views), this.heat),
      make("section", { class: "panel" }, make("div", { class: "row" }, make("h2", {}, say("events")), save), this.list.element, this.more));
  }

  show() {
    this.options(this.source, say("allSources"), this.store.sources.map((source) => source.name));
    this.load();
  }

  options(select, all, names, shown = (one) => one) {
    const chosen = select.value;
    const offered = names.includes(chosen) || !chosen ? names : [...names, chosen]; // a filter stays as it was set
    select.replaceChildren(make("option", { value: "" }, all), ...offered.map((name) => make("option", { value: name }, shown(name))));
    select.value = chosen;
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
    if (more && this.loading) return;
    const turn = ++this.turn; // an answer counts only while nothing newer is asked for
    const query = { ...this.query(), label: this.sound.value, limit: PAGE, after: more ? this.next : null };
    const filters = JSON.stringify([query.source, query.label, query.score, this.period.value]);
    this.loading = true;
    try {
      const [answer, summary] = await Promise.all([get("events", query), more ? null : get("summary", { ...this.query(), zone: ZONE })]);
      if (turn !== this.turn) return;
      this.found = more ? [...this.found, ...answer.events] : answer.events;
      [this.next, this.filters] = [answer.next, filters];
      this.more.hidden = this.next === null;
      this.list.show(this.found);
      if (summary) {
        this.summary = summary;
        this.draw();
        this.options(this.sound, say("allSounds"), summary.sounds.map((sound) => sound.label), soundName);
      }
    } catch (error) {
      if (turn !== this.turn) return;
      if (filters !== this.filters) this.more.hidden = true; // what is shown fits other filters
      notify(error.message);
    }
    this.loading = false;
  }

  note(note) { this.list.note(note); }

  forget(id) {
    this.found = this.found.filter((event) => event.id !== id);
    if (this.list.lines.has(id)) this.list.show(this.found);
  }

  draw() {
    const rows = this.summary?.sounds.length ? VIEWS[this.view](this.summary) : [];
    if (rows.length) this.heat.replaceChildren(heatMap(rows), make("p", { class: "state" }, busiest(this.summary)));
    else this.heat.replaceChildren(make("p", { class: "hint" }, say("noneFound")));
  }

  save(form) {
    if (!form) return;
    const query = new URLSearchParams(Object.entries({ ...this.query(), label: this.sound.value }).filter(([, value]) => value !== ""));
    make("a", { href: `api/v1/export/${form}?${query}`, download: "" }).click();
  }
}
