// A scrolling spectrogram: new columns go into a ring of 1,024, which is drawn at each picture.

const COLUMNS = 1024;
const BINS = 128;
const RATE = 100; // columns a second
const DELAY = 22; // columns that the picture stays behind, so that it scrolls evenly

const MAPS = {
  dark: "0000040302110a0723140b36200c492e0a5a3c0964490b6a560f6d63146e70196e7c1d6d89226a962666a22b61af305bbb3654c63d4cd04544da4e3be35932eb6428f1711ef67e13f98c09fb9b06fcaa0ffbba1ff9c932f5d949f2e865f3f586fcffa4",
  light: "fffffffbf9e9f7f3d2f2ecbdf3e4aff2dca2f2d396f3ca8cf4c183f4b77af5ad75f5a36ff5996bf58f69f48468f27a67ef6f69ed646ae95a6de35070de4574d73b78cf327dc72882bc2287b01d8ca41891951a96841d9a721f9f5b24a23d28a5002aa8",
};
const EDGES = { dark: [0x05060a, 0x24708c], light: [0xfbfbfc, 0x8fc4b4] }; // before the first sound; lost sound

function colours(theme) {
  const points = MAPS[theme].match(/../g).map((pair) => parseInt(pair, 16));
  const table = new Uint32Array(256);
  const opaque = (red, green, blue) => (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
  for (let value = 1; value < 255; value++) {
    const place = (value - 1) / 253 * 32;
    const left = Math.min(31, Math.floor(place));
    const mixed = [0, 1, 2].map((channel) => Math.round(
      points[3 * left + channel] * (1 - place + left) + points[3 * left + 3 + channel] * (place - left)));
    table[value] = opaque(...mixed);
  }
  [0, 255].forEach((value, index) => {
    const rgb = EDGES[theme][index];
    table[value] = opaque(rgb >> 16, rgb >> 8 & 255, rgb & 255);
  });
  return table;
}

// Draws rows of 128 bytes, as of a clip, over a whole canvas.
export function drawRows(canvas, rows, theme) {
  const table = colours(theme);
  const width = rows.length / BINS;
  if (!width) return;
  canvas.width = width;
  canvas.height = BINS;
  const context = canvas.getContext("2d", { alpha: false });
  const image = context.createImageData(width, BINS);
  const pixels = new Uint32Array(image.data.buffer);
  for (let x = 0; x < width; x++) for (let bin = 0; bin < BINS; bin++) pixels[(BINS - 1 - bin) * width + x] = table[rows[x * BINS + bin]];
  context.putImageData(image, 0, 0);
}

export class Spectrogram {
  constructor(canvas, theme) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.values = new Uint8Array(COLUMNS * BINS);
    this.ring = document.createElement("canvas");
    this.ring.width = COLUMNS;
    this.ring.height = BINS;
    this.ringContext = this.ring.getContext("2d", { alpha: false });
    this.isEmpty = true;
    this.end = 0;
    this.shown = 0;
    this.drawnAt = 0;
    this.setTheme(theme);
  }

  setTheme(theme) {
    this.table = colours(theme);
    this.paint(this.end - COLUMNS, this.end);
  }

  add(rows) {
    if (this.isEmpty || rows.first < this.end - COLUMNS || rows.first > this.end + COLUMNS) {
      this.isEmpty = false;
      this.values.fill(0);
      this.end = rows.first;
      this.shown = rows.first - DELAY;
      this.paint(this.end - COLUMNS, this.end);
    }
    const begin = Math.min(this.end, rows.first);
    for (let column = this.end; column < rows.first; column++) this.column(column).fill(255);
    for (let row = 0; row < rows.count; row++) {
      this.column(rows.first + row).set(rows.values.subarray(row * BINS, (row + 1) * BINS));
    }
    this.end = Math.max(this.end, rows.first + rows.count);
    this.paint(Math.max(begin, this.end - COLUMNS), this.end);
  }

  column(index) {
    const place = ((index % COLUMNS) + COLUMNS) % COLUMNS;
    return this.values.subarray(place * BINS, (place + 1) * BINS);
  }

  paint(first, last) {
    for (let begin = first; begin < last;) {
      const place = ((begin % COLUMNS) + COLUMNS) % COLUMNS;
      const width = Math.min(last - begin, COLUMNS - place);
      const image = this.ringContext.createImageData(width, BINS);
      const pixels = new Uint32Array(image.data.buffer);
      for (let x = 0; x < width; x++) {
        const column = this.column(begin + x);
        for (let bin = 0; bin < BINS; bin++) pixels[(BINS - 1 - bin) * width + x] = this.table[column[bin]];
      }
      this.ringContext.putImageData(image, place, 0);
      begin += width;
    }
  }

  draw(now) {
    const seconds = Math.min(1, (now - this.drawnAt) / 1000);
    this.drawnAt = now;
    const target = this.end - DELAY;
    this.shown = Math.max(target - DELAY, Math.min(this.end, this.shown + RATE * seconds));
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (!width || !height) return;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const visible = Math.min(COLUMNS - 2 * DELAY, Math.max(300, this.canvas.clientWidth * 1.6));
    const scale = width / visible;
    const first = this.shown - visible;
    const left = Math.floor(first / COLUMNS) * COLUMNS;
    for (const start of [left, left + COLUMNS]) {
      this.context.drawImage(this.ring, (start - first) * scale, 0, COLUMNS * scale, height);
    }
  }
}
