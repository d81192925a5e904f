// The mask in the browser: voxels, slices as pixels, and outlines along voxel edges.

// Of the palette of Okabe and Ito, which colour-blind eyes tell apart.
const MASK_COLOUR = "#E69F00";

// Holds the voxels of a box only, so that many objects of a large scan fit into memory.
class Mask {
  // grid: anything with the scan's `shape`.
  constructor(grid) {
    this.grid = grid;
    this.box = { start: [0, 0, 0], size: [0, 0, 0] };
    // Those of the box, i fastest.
    this.voxels = new Uint8Array(0);
    this.version = 0;
  }

  // bits: one a voxel of the box, the first in the lowest bit.
  set({ start, size }, bits) {
    this.box = { start, size };
    this.voxels = new Uint8Array(size[0] * size[1] * size[2]);
    for (let place = 0; place < this.voxels.length; place += 1) {
      this.voxels[place] = (bits[place >> 3] >> (place & 7)) & 1;
    }
    this.version += 1;
  }

  // Where the box keeps a voxel, or -1 outside it.
  placeOf(i, j, k) {
    const { start, size } = this.box;
    const [di, dj, dk] = [i - start[0], j - start[1], k - start[2]];
    const inside = di >= 0 && dj >= 0 && dk >= 0 && di < size[0] && dj < size[1] && dk < size[2];
    return inside ? di + size[0] * (dj + size[1] * dk) : -1;
  }

  has(i, j, k) {
    const place = this.placeOf(i, j, k);
    return place >= 0 && this.voxels[place] === 1;
  }

  // Makes the box so large that it holds the voxels from `low` up to, without, `high`.
  cover({ low, high }) {
    const { start, size } = this.box;
    const empty = this.voxels.length === 0;
    const from = empty ? low : low.map((value, axis) => Math.min(value, start[axis]));
    const to = empty ? high : high.map((value, axis) => Math.max(value, start[axis] + size[axis]));
    const grown = to.map((value, axis) => value - from[axis]);
    if (!empty && grown.every((value, axis) => value === size[axis])) return;
    const voxels = new Uint8Array(grown[0] * grown[1] * grown[2]);
    for (let k = 0; k < size[2]; k += 1) {
      for (let j = 0; j < size[1]; j += 1) {
        const row = size[0] * (j + size[1] * k);
        const [oi, oj, ok] = start.map((value, axis) => value - from[axis]);
        const place = oi + grown[0] * (oj + j + grown[1] * (ok + k));
        voxels.set(this.voxels.subarray(row, row + size[0]), place);
      }
    }
    this.box = { start: from, size: grown };
    this.voxels = voxels;
  }

  // The middle of the bounding box, or none for an empty mask.
  middle() {
    const { start, size } = this.box;
    if (size[0] === 0) return null;
    return start.map((first, axis) => first + Math.floor(size[axis] / 2));
  }

  touches(plane, slice) {
    const { normal } = PLANES[plane];
    const first = this.box.start[normal];
    return slice >= first && slice < first + this.box.size[normal];
  }

  // Where in a slice the mask can be, in cells of the screen.
  extent(plane) {
    const { across, down } = PLANES[plane];
    const { columns, rows } = sliceSize(plane, this.grid);
    const { start, size } = this.box;
    const right = columns - start[across];
    const bottom = rows - start[down];
    return { left: right - size[across], top: bottom - size[down], right, bottom };
  }

  // pixel: what voxels of the mask become.
  paint(plane, slice, pixels, pixel) {
    const { normal, across, down } = PLANES[plane];
    const { start, size } = this.box;
    const { columns, rows } = sliceSize(plane, this.grid);
    const strides = [1, size[0], size[0] * size[1]];
    pixels.fill(0);
    for (let y = 0; y < size[down]; y += 1) {
      const row = rows - 1 - start[down] - y;
      const first = (slice - start[normal]) * strides[normal] + y * strides[down];
      for (let x = 0; x < size[across]; x += 1) {
        if (this.voxels[first + x * strides[across]]) {
          pixels[row * columns + columns - 1 - start[across] - x] = pixel;
        }
      }
    }
  }
}

// The border between painted and empty pixels as a path in cells; neighbouring edges are joined
// into one line, so that a straight border is drawn as one. box: the first column and row with a
// painted pixel and the first beyond the last. Scrolling runs this at every slice, hence no closures.
function outlineOf(pixels, columns, rows, { left, top, right, bottom }) {
  const path = new Path2D();
  for (let row = top; row <= bottom; row += 1) {
    let from = -1;
    for (let column = left; column <= right; column += 1) {
      const place = row * columns + column;
      const above = row > top && pixels[place - columns] !== 0;
      const below = row < bottom && pixels[place] !== 0;
      const isEdge = column < right && above !== below;
      if (isEdge && from < 0) from = column;
      if (isEdge || from < 0) continue;
      path.moveTo(from, row);
      path.lineTo(column, row);
      from = -1;
    }
  }
  for (let column = left; column <= right; column += 1) {
    let from = -1;
    for (let row = top; row <= bottom; row += 1) {
      const place = row * columns + column;
      const before = column > left && pixels[place - 1] !== 0;
      const behind = column < right && pixels[place] !== 0;
      const isEdge = row < bottom && before !== behind;
      if (isEdge && from < 0) from = row;
      if (isEdge || from < 0) continue;
      path.moveTo(column, from);
      path.lineTo(column, row);
      from = -1;
    }
  }
  return path;
}
