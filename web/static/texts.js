// All words of the page, by language. A language is one more column.

const TEXTS = {
  live: ["Live", "Live"],
  events: ["Events", "Ereignisse"],
  sounds: ["Sounds", "Geräusche"],
  system: ["System", "System"],
  interface: ["HTTP interface for scripts", "HTTP-Schnittstelle für Skripte"],
  doctor: ["Checks", "Prüfungen"],
  checkAgain: ["Check again", "Noch einmal prüfen"],
  checking: ["Checking…", "Prüft…"],
  checkedAt: ["Checked at {time}", "Geprüft um {time}"],
  check_ok: ["ok", "gut"],
  check_warning: ["warning", "Warnung"],
  check_failed: ["failed", "fehlgeschlagen"],
  check_skipped: ["skipped", "übersprungen"],
  thresholds: ["Fit thresholds to the room", "Schwellen an den Raum anpassen"],
  calibrateHint: ["Earshot listens while none of the watched sounds occurs, and proposes thresholds above the background noise. Events go on as always.",
    "Earshot hört zu, während keines der beachteten Geräusche vorkommt, und schlägt Schwellen über dem Grundrauschen vor. Ereignisse laufen weiter wie immer."],
  calibrateLength: ["Time to listen", "Dauer"],
  calibrate: ["Calibrate", "Kalibrieren"],
  calibrating: ["Listening; {left} left", "Hört zu; noch {left}"],
  calibrated: ["Thresholds to change: {count}", "Zu ändernde Schwellen: {count}"],
  calibratedNone: ["All thresholds are above the background noise.", "Alle Schwellen liegen über dem Grundrauschen."],
  stop: ["Stop", "Beenden"],
  apply: ["Apply and save", "Übernehmen und speichern"],
  highest: ["Highest", "Höchster"],
  threshold_now: ["Now", "Jetzt"],
  proposed: ["Proposed", "Vorschlag"],
  hopeless: ["or stop watching for it", "oder nicht beachten"],
  connected: ["connected", "verbunden"],
  lost: ["no connection; trying again", "keine Verbindung; neuer Versuch läuft"],
  light: ["Light colours", "Helle Farben"],
  dark: ["Dark colours", "Dunkle Farben"],
  logout: ["Log out", "Abmelden"],
  login: ["Log in", "Anmelden"],
  password: ["Password", "Passwort"],
  loginHint: ["This page shows what Earshot hears.", "Diese Seite zeigt, was Earshot hört."],
  listening: ["Listening", "Hört zu"],
  paused: ["Paused", "Pausiert"],
  online: ["on", "an"],
  offline: ["no audio: {reason}", "kein Ton: {reason}"],
  waiting: ["Listening…", "Hört zu…"],
  nothing: ["Nothing to hear; Earshot keeps trying.", "Nichts zu hören; Earshot versucht es weiter."],
  loading: ["Loading {model}…", "Lädt {model}…"],
  soundEnded: ["Playback has ended; start it again.", "Die Wiedergabe ist zu Ende; starten Sie sie noch einmal."],
  level: ["Level", "Pegel"],
  noise: ["Last minute: {leq} {unit}, highest {lmax}, background {l90}", "Letzte Minute: {leq} {unit}, höchstens {lmax}, Hintergrund {l90}"],
  spectrogram: ["Spectrogram of {source}", "Spektrogramm von {source}"],
  score: ["Score", "Wert"],
  recent: ["Recent events", "Letzte Ereignisse"],
  none: ["No events yet.", "Noch keine Ereignisse."],
  noneFound: ["No events match.", "Keine passenden Ereignisse."],
  today: ["Today", "Heute"],
  yesterday: ["Yesterday", "Gestern"],
  ongoing: ["still on", "läuft noch"],
  unconfirmed: ["not confirmed yet", "noch nicht bestätigt"],
  takenBack: ["taken back", "zurückgenommen"],
  play: ["Play {sound}", "{sound} abspielen"],
  download: ["Download the clip of {sound}", "Aufnahme von {sound} herunterladen"],
  listenAlong: ["Listen to {source}", "{source} anhören"],
  details: ["More about {sound}", "Mehr zu {sound}"],
  right: ["right", "richtig"],
  wrong: ["wrong", "falsch"],
  keep: ["Keep", "Behalten"],
  kept: ["Kept", "Behalten ✓"],
  saveClip: ["Download", "Herunterladen"],
  delete: ["Delete", "Löschen"],
  deleteSure: ["Really delete?", "Wirklich löschen?"],
  allSounds: ["All sounds", "Alle Geräusche"],
  allSources: ["All sources", "Alle Quellen"],
  sound: ["Sound", "Geräusch"],
  source: ["Source", "Quelle"],
  period: ["Period", "Zeitraum"],
  day: ["24 hours", "24 Stunden"],
  week: ["7 days", "7 Tage"],
  month: ["30 days", "30 Tage"],
  everything: ["Everything", "Alles"],
  leastScore: ["Minimum score", "Mindestwert"],
  hours: ["Hours of the day", "Stunden des Tages"],
  heat: ["{sound}, {hour}:00: {count}", "{sound}, {hour} Uhr: {count}"],
  more: ["Show more", "Mehr zeigen"],
  saveAs: ["Save as…", "Speichern…"],
  by_sounds: ["Sounds", "Geräusche"],
  by_weekdays: ["Week", "Woche"],
  by_days: ["Days", "Tage"],
  busiest: ["Most events from {hour}:00 to {next}:00 ({count}). Hours without any: {quiet}.",
    "Die meisten Ereignisse von {hour} bis {next} Uhr ({count}). Stunden ohne: {quiet}."],
  clipPicture: ["Spectrogram of the clip", "Spektrogramm der Aufnahme"],
  threshold: ["Threshold of {sound}", "Schwelle von {sound}"],
  remove: ["Stop watching for {sound}", "Nicht mehr auf {sound} achten"],
  quietHours: ["Quiet hours of {sound}", "Ruhezeiten für {sound}"],
  quietLabel: ["Quiet hours", "Ruhezeiten"],
  quietHint: ["For example 22:00-07:00, sat,sun 22:00-09:00, or always. What is heard then is stored, but you are not notified, and nothing is published over MQTT.",
    "Zum Beispiel 22:00-07:00, sat,sun 22:00-09:00 oder always. Was dann zu hören ist, wird gespeichert, aber weder gemeldet noch über MQTT verschickt."],
  quietNever: ["No quiet hours", "Keine Ruhezeiten"],
  quietAt: ["Quiet: {quiet}", "Ruhe: {quiet}"],
  watch: ["Watch", "Beachten"],
  addSound: ["Another sound", "Weiteres Geräusch"],
  save: ["Save to the settings file", "In die Einstellungen schreiben"],
  saved: ["Saved in {file}", "Gespeichert in {file}"],
  hint: ["Drag a threshold: the sound becomes an event when its bar reaches it.",
    "Ziehen Sie eine Schwelle: Erreicht der Balken sie, wird das Geräusch zum Ereignis."],
  latency: ["latency {seconds} s", "Verzögerung {seconds} s"],
  dropped: ["windows dropped: {count}", "verworfene Fenster: {count}"],
  lostAudio: ["audio lost: {seconds} s", "Ton verloren: {seconds} s"],
  broker: ["MQTT: {state}", "MQTT: {state}"],
  unsaved: ["events not stored: {count}", "nicht gespeicherte Ereignisse: {count}"],
  unreachable: ["Earshot does not answer; try again", "Earshot antwortet nicht; versuchen Sie es noch einmal"],
};

const LANGUAGES = ["en", "de"];
const language = LANGUAGES.find((code) => navigator.language.toLowerCase().startsWith(code)) ?? "en";
const place = LANGUAGES.indexOf(language);
document.documentElement.lang = language;

export function say(key, values = {}) {
  return TEXTS[key][place].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// The language is that of the words; the form of times is that of the reader's country.
const locale = navigator.language.toLowerCase().startsWith(language) ? navigator.language : language;

export const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
const weekdayFormat = new Intl.DateTimeFormat(locale, { weekday: "long" });
const shortDayFormat = new Intl.DateTimeFormat(locale, { weekday: "short", day: "numeric", month: "short" });
const percentFormat = new Intl.NumberFormat(locale, { style: "percent" });

export function dayName(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return say("today");
  return days === 1 ? say("yesterday") : dayFormat.format(date);
}

export function weekday(number) { // 0 is Monday
  return weekdayFormat.format(new Date(2024, 0, 1 + number));
}

export function shortDay(date) {
  return shortDayFormat.format(date);
}

// Names of sounds, once they are known in the language of the page; the names in the program stay English.
let names = new Map();
let originals = new Map();

export async function loadNames(get) {
  names = new Map(Object.entries((await get(`names/${language}`)).names));
  if (language !== "en") originals = new Map([...names].map(([english, own]) => [own.toLowerCase(), english]));
}

export function soundName(sound) {
  return names.get(sound) ?? sound;
}

// The name to search for: in English the full one, which is the name in the program.
export function searchName(sound) {
  return language === "en" ? sound : soundName(sound);
}

// The name in the program for what somebody has typed, in either language.
export function original(typed) {
  return names.has(typed) ? typed : originals.get(typed.toLowerCase()) ?? typed;
}

export function percent(score) {
  return score === null ? "–" : percentFormat.format(score);
}

export function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
