// The doctor's findings, and the calibration of thresholds.
import { make, notify } from "./dom.js";
import { get, post } from "./api.js";
import { clock, duration, percent, say, soundName } from "./texts.js";

const LENGTHS = [60, 600, 3600, 8 * 3600];

export class SystemView {
  constructor() {
    this.checks = make("ul", { class: "checks" });
    this.checked = make("span", { class: "state" });
    this.again = make("button", { type: "button", id: "check", onclick: () => this.check() }, say("checkAgain"));
    this.length = make("select", { "aria-label": say("calibrateLength") },
      ...LENGTHS.map((seconds) => make("option", { value: String(seconds) }, seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`)));
    this.start = make("button", { class: "main", type: "button", id: "calibrate", onclick: () => this.send("calibration", { seconds: Number(this.length.value) }) }, say("calibrate"));
    this.stop = make("button", { type: "button", id: "stop", hidden: true, onclick: () => this.send("calibration/stop") }, say("stop"));
    this.apply = make("button", { class: "main", type: "button", id: "apply", hidden: true, onclick: () => this.send("calibration/apply") }, say("apply"));
    this.progress = make("progress", { max: 1, value: 0, hidden: true, "aria-label": say("calibrate") });
    this.state = make("p", { class: "state", role: "status" });
    this.results = make("table", { class: "results", hidden: true });
    this.element = make("div", { class: "tiles" },
      make("section", { class: "panel tile" }, make("div", { class: "row" }, make("h2", {}, say("doctor")), this.again), this.checked, this.checks),
      make("section", { class: "panel tile" }, make("h2", {}, say("thresholds")), make("p", { class: "hint" }, say("calibrateHint")),
        make("div", { class: "row" }, this.length, this.start, this.stop, this.apply), this.progress, this.state, this.results,
        make("p", {}, make("a", { class: "button", href: "api/v1/" }, say("interface")))));
  }

  async show() {
    this.check();
    try {
      this.calibration(await get("calibration"));
    } catch (error) {
      notify(error.message);
    }
  }

  async check() {
    if (this.again.disabled) return; // a check goes on
    this.again.disabled = true;
    this.checked.textContent = say("checking");
    try {
      const { checks, checked_at } = await get("doctor");
      this.checks.replaceChildren(...checks.map(({ check, state, found, advice }) => make("li", { class: state },
        make("b", {}, check), make("span", { class: "mark" }, say(`check_${state}`)), make("span", { class: "found" }, found),
        advice ? make("small", {}, advice) : null)));
      this.checked.textContent = say("checkedAt", { time: clock.format(new Date(checked_at * 1000)) });
    } catch (error) {
      this.checked.textContent = error.message;
    }
    this.again.disabled = false;
  }

  async send(address, body) {
    try {
      const { file } = await post(address, body);
      if (file) notify(say("saved", { file }));
    } catch (error) {
      notify(error.message);
    }
  }

  calibration({ phase, seconds, total_seconds, reason, sounds }) {
    const running = phase === "running";
    this.length.hidden = this.start.hidden = running;
    this.stop.hidden = this.progress.hidden = !running;
    this.progress.value = total_seconds ? seconds / total_seconds : 0;
    const changes = sounds.filter(({ proposed }) => proposed !== null);
    this.apply.hidden = phase !== "done" || !changes.length;
    this.state.classList.toggle("bad", phase === "failed");
    this.state.textContent = running ? say("calibrating", { left: duration(total_seconds - seconds) })
      : phase === "failed" ? reason : phase === "done" ? say(changes.length ? "calibrated" : "calibratedNone", { count: changes.length }) : "";
    this.results.hidden = !sounds.length;
    const head = ["sound", "highest", "threshold_now", "proposed"].map((key) => make("th", { scope: "col" }, say(key)));
    this.results.replaceChildren(make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...sounds.map((one) => make("tr", { class: one.proposed === null ? "" : "set" },
      make("th", { scope: "row" }, one.source ? `${one.source}: ${soundName(one.sound)}` : soundName(one.sound)),
      make("td", {}, percent(one.highest)), make("td", {}, percent(one.threshold)),
      make("td", {}, one.proposed === null ? "–" : percent(one.proposed), one.hopeless && one.proposed !== null ? make("small", {}, say("hopeless")) : null)))));
  }
}
