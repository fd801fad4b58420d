// The line below: the model and its speed, and what is wrong, in red.
import { make } from "./dom.js";
import { say } from "./texts.js";

export function showHealth(line, health) {
  const parts = [[health.model, false], [health.device, false]];
  if (health.latency_p50_seconds !== null) parts.push([say("latency", { seconds: health.latency_p50_seconds.toFixed(1) }), false]);
  if (health.dropped_windows) parts.push([say("dropped", { count: health.dropped_windows }), true]);
  if (health.overrun_seconds) parts.push([say("lostAudio", { seconds: health.overrun_seconds.toFixed(1) }), true]);
  const missing = health.losses.unsaved_events + health.losses.lost_events;
  if (missing) parts.push([say("unsaved", { count: missing }), true]);
  if (health.broker !== "none") parts.push([say("broker", { state: health.broker }), health.broker !== "connected"]);
  line.replaceChildren(...parts.filter(([words]) => words).map(([words, bad]) => make("span", bad ? { class: "bad" } : {}, words)));
}
