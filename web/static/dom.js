// Elements are made from text and properties only, never from HTML: names of sounds and sources come from outside.

export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== "string") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function svg(name, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export function bar(share, description) {
  const filling = make("i");
  const element = make("div", { class: "bar", role: "meter", "aria-label": description, "aria-valuemin": "0", "aria-valuemax": "100" }, filling);
  setBar(element, share);
  return element;
}

export function setBar(element, share) {
  element.firstChild.style.transform = `scaleX(${Math.max(0, Math.min(1, share))})`;
  element.setAttribute("aria-valuenow", String(Math.round(100 * share)));
}

// A few buttons of which one is chosen.
export function choose(options, chosen, onchoose) {
  const buttons = options.map(([value, name]) => make("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === buttons[options.findIndex(([other]) => other === value)]));
    onchoose(value);
  } }, name));
  return make("div", { class: "choice", role: "group" }, ...buttons);
}

let hiding = 0;

export function notify(sentence) {
  const notice = document.getElementById("notice");
  notice.textContent = sentence;
  notice.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { notice.hidden = true; }, 5000);
}
