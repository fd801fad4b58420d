// The connection to the program: it is made again after every loss, with pauses that grow to ten seconds.
import { get } from "./api.js";

const LONGEST_PAUSE = 10_000;
const SILENCE = 45_000;

export class Socket {
  constructor({ onText, onRows, onState, onLogin }) {
    this.handlers = { onText, onRows, onState, onLogin };
    this.pause = 500;
    this.open();
  }

  open() {
    const address = new URL("api/v1/live", document.baseURI);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => { this.handlers.onState(true); this.watch(); };
    this.socket.onmessage = (event) => {
      this.pause = 500; // not before: one browser too many is accepted and closed at once
      this.watch();
      if (typeof event.data === "string") this.handlers.onText(JSON.parse(event.data));
      else this.handlers.onRows(new Rows(event.data));
    };
    this.socket.onclose = () => this.lost();
  }

  watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.socket.close(), SILENCE);
  }

  async lost() {
    clearTimeout(this.timer);
    this.handlers.onState(false);
    try {
      await get("status");
    } catch (error) {
      if (error.status === 401) { this.handlers.onLogin(); return; }
    }
    setTimeout(() => this.open(), this.pause * (0.7 + 0.6 * Math.random()));
    this.pause = Math.min(LONGEST_PAUSE, 2 * this.pause);
  }
}

class Rows {
  constructor(buffer) {
    const view = new DataView(buffer);
    this.source = view.getUint16(2, true);
    this.level = view.getInt16(4, true) / 10;
    this.peak = view.getInt16(6, true) / 10;
    this.count = view.getUint16(8, true);
    this.first = view.getUint32(12, true);
    this.startedAt = view.getFloat64(16, true);
    this.values = new Uint8Array(buffer, 24);
  }
}
