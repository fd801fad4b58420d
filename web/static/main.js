// The page: tabs, colours, login, and the connection whose messages go to the views.
import { get, post } from "./api.js";
import { make, notify } from "./dom.js";
import { loadNames, say } from "./texts.js";
import { Socket } from "./socket.js";
import { LiveView } from "./live.js";
import { showHealth } from "./health.js";
import { EventsView } from "./events.js";
import { SoundsView } from "./sounds.js";
import { SystemView } from "./system.js";

const RECENT = 100;

const store = { theme: "dark", sources: [], recent: [] };
const main = document.getElementById("main");
const tabs = document.getElementById("tabs");
const connection = document.getElementById("connection");
const healthLine = document.getElementById("health");
const themeButton = document.getElementById("theme");
const logoutButton = document.getElementById("logout");

function chooseTheme(theme) {
  store.theme = theme;
  document.documentElement.dataset.theme = theme;
  themeButton.textContent = theme === "dark" ? "☀" : "☾";
  themeButton.setAttribute("aria-label", say(theme === "dark" ? "light" : "dark"));
}

function storedTheme() {
  try { return localStorage.getItem("theme"); } catch { return null; }
}

chooseTheme(storedTheme() ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark"));

const views = { live: new LiveView(store), events: new EventsView(store), sounds: new SoundsView(store), system: new SystemView() };

themeButton.addEventListener("click", () => {
  chooseTheme(store.theme === "dark" ? "light" : "dark");
  try { localStorage.setItem("theme", store.theme); } catch { /* private windows store nothing */ }
  views.live.setTheme(store.theme);
});

logoutButton.setAttribute("aria-label", say("logout"));
logoutButton.textContent = "⏻";
logoutButton.addEventListener("click", async () => {
  await post("logout").catch((error) => notify(error.message));
  location.reload();
});

const buttons = Object.keys(views).map((name) => make("button", {
  type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "main", onclick: () => open(name),
}, say(name)));

tabs.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
  next.focus();
  next.click();
});

function open(name) {
  for (const button of buttons) {
    const chosen = button.id === `tab-${name}`;
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
  }
  main.setAttribute("role", "tabpanel");
  main.setAttribute("aria-labelledby", `tab-${name}`);
  main.replaceChildren(views[name].element);
  if (location.hash !== `#${name}`) history.replaceState(null, "", `#${name}`);
  views[name].show();
}

function remember(event) {
  const index = store.recent.findIndex((known) => known.id === event.id);
  if (index >= 0) store.recent[index] = event;
  else store.recent.unshift(event);
  store.recent.sort((one, other) => (one.started_at < other.started_at) - (one.started_at > other.started_at));
  store.recent.length = Math.min(store.recent.length, RECENT);
}

const receivers = {
  sources(message) {
    store.sources = message.sources;
    views.live.sources(message.sources);
    views.sounds.sources(message.sources);
  },
  sourcestatus(message) { views.live.status(message); },
  tagging(message) { views.live.tagging(message); views.sounds.tagging(message); },
  health(message) { views.live.health(message); showHealth(healthLine, message); },
  event(message) { remember(message); views.live.events(); },
  note({ type, ...note }) {
    const known = store.recent.find((event) => event.id === note.id);
    if (known) Object.assign(known, note);
    views.live.note(note);
    views.events.note(note);
  },
  calibration(message) { views.system.calibration(message); },
  deleted({ id }) {
    store.recent = store.recent.filter((event) => event.id !== id);
    views.live.events();
    views.events.forget(id);
  },
  events(message) {
    store.recent = [];
    message.events.forEach(remember);
    views.live.events();
  },
};

function tabOfAddress() {
  const name = location.hash.slice(1);
  return Object.hasOwn(views, name) ? name : "live";
}

function begin() {
  tabs.replaceChildren(...buttons);
  open(tabOfAddress());
  addEventListener("hashchange", () => open(tabOfAddress()));
  new Socket({
    onText: (message) => receivers[message.type]?.(message),
    onRows: (rows) => views.live.rows(rows),
    onState: (on) => {
      connection.textContent = say(on ? "connected" : "lost");
      connection.dataset.state = on ? "on" : "off";
    },
    onLogin: () => location.reload(),
  });
}

function askPassword() {
  const field = make("input", { type: "password", name: "password", autocomplete: "current-password", required: true, id: "password" });
  const error = make("p", { class: "error", role: "alert" });
  const form = make("form", { onsubmit: async (event) => {
    event.preventDefault();
    error.textContent = "";
    try {
      await post("login", { password: field.value });
      location.reload();
    } catch (refused) {
      error.textContent = refused.message;
      field.select();
    }
  } }, make("label", { for: "password" }, say("password"), field), error, make("button", { class: "main", type: "submit" }, say("login")));
  tabs.replaceChildren();
  main.replaceChildren(make("section", { class: "panel login" }, make("p", {}, say("loginHint")), form));
  connection.textContent = "";
  field.focus();
}

async function start() {
  try {
    const status = await get("status");
    logoutButton.hidden = !status.has_password;
    store.canListen = status.can_listen;
    await loadNames(get);
    begin();
  } catch (error) {
    if (error.status === 401) askPassword();
    else if (error.status === 403) main.replaceChildren(make("p", { class: "error", role: "alert" }, error.message));
    else {
      notify(say("unreachable"));
      setTimeout(start, 2000);
    }
  }
}

start();
