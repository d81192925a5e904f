// The scan in the browser: voxels, and slices as grey pixels.

class Volume {
  constructor(description, voxels) {
    this.description = description;
    this.shape = description.shape;
    this.spacing = description.spacing;
    this.affine = description.affine;
    this.voxels = voxels;
  }

  static async load(description) {
    const response = await fetch(description.file.url);
    if (!response.ok) throw new Error("The scan could not be fetched (" + response.status + ").");
    const buffer = await decompress(response.body, "gzip");
    return new Volume(description, new Int16Array(buffer));
  }

  intensity([i, j, k]) {
    const stored = this.voxels[i + this.shape[0] * (j + this.shape[1] * k)];
    return stored * this.description.slope + this.description.intercept;
  }

  middle() {
    return this.shape.map((size) => Math.floor(size / 2));
  }

  paint(plane, slice, greys, pixels) {
    const { voxels } = this;
    let cell = 0;
    forEachCell(plane, this, slice, (offset) => {
      pixels[cell] = greys[voxels[offset] + 32768];
      cell += 1;
    });
  }
}

// Opaque grey (as the bytes R, G, B, A) for each possible stored value.
function greyTable(description, window) {
  const table = new Uint32Array(65536);
  const range = Math.max(window.high - window.low, Number.EPSILON);
  for (let stored = -32768; stored < 32768; stored += 1) {
    const value = stored * description.slope + description.intercept;
    const share = Math.min(Math.max((value - window.low) / range, 0), 1);
    const grey = Math.round(share * 255);
    table[stored + 32768] = (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0;
  }
  return table;
}

// Right drag: a whole view's width doubles the width of the window or makes it vanish; a whole
// view's height moves its level by its width.
function draggedWindow(window, dx, dy, size) {
  const width = window.high - window.low;
  const level = (window.high + window.low) / 2 + (dy / size.height) * width;
  const newWidth = width * Math.exp((2 * dx) / size.width);
  return { name: "Custom", low: level - newWidth / 2, high: level + newWidth / 2 };
}
