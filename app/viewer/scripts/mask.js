// The mask in the browser: voxels, slices as pixels, and outlines along voxel edges.

// Of the palette of Okabe and Ito, which colour-blind eyes tell apart.
const MASK_COLOUR = "#E69F00";

class Mask {
  constructor(volume) {
    this.volume = volume;
    this.voxels = new Uint8Array(volume.voxels.length);
    this.box = { start: [0, 0, 0], size: [0, 0, 0] };
    this.version = 0;
  }

  // bits: one a voxel of the box, i fastest, the first in the lowest bit.
  set({ start, size }, bits) {
    this.fillBox(() => 0);
    this.box = { start, size };
    this.version += 1;
    let count = 0;
    this.fillBox(() => {
      const bit = (bits[count >> 3] >> (count & 7)) & 1;
      count += 1;
      return bit;
    });
  }

  fillBox(next) {
    const { start, size } = this.box;
    const [columns, rows] = this.volume.shape;
    for (let k = start[2]; k < start[2] + size[2]; k += 1) {
      for (let j = start[1]; j < start[1] + size[1]; j += 1) {
        const first = columns * (j + rows * k);
        for (let i = start[0]; i < start[0] + size[0]; i += 1) this.voxels[first + i] = next();
      }
    }
  }

  // The middle of the bounding box, or of the scan for an empty mask.
  middle() {
    const { start, size } = this.box;
    if (size[0] === 0) return this.volume.middle();
    return start.map((first, axis) => first + Math.floor(size[axis] / 2));
  }

  touches(plane, slice) {
    const { normal } = PLANES[plane];
    const first = this.box.start[normal];
    return slice >= first && slice < first + this.box.size[normal];
  }

  // pixel: what voxels of the mask become.
  paint(plane, slice, pixels, pixel) {
    const { voxels } = this;
    let cell = 0;
    forEachCell(plane, this.volume, slice, (offset) => {
      pixels[cell] = voxels[offset] ? pixel : 0;
      cell += 1;
    });
  }
}

// The border between painted and empty pixels as a path in cells; neighbouring edges are joined
// into one line, so that a straight border is drawn as one.
function outlineOf(pixels, columns, rows) {
  const path = new Path2D();
  const at = (column, row) =>
    column >= 0 && row >= 0 && column < columns && row < rows && pixels[row * columns + column] !== 0;
  const trace = (lines, cells, isEdge, draw) => {
    for (let line = 0; line <= lines; line += 1) {
      let from = -1;
      for (let cell = 0; cell <= cells; cell += 1) {
        const edge = cell < cells && isEdge(line, cell);
        if (edge && from < 0) from = cell;
        if (!edge && from >= 0) {
          draw(line, from, cell);
          from = -1;
        }
      }
    }
  };
  trace(rows, columns, (row, column) => at(column, row - 1) !== at(column, row), (row, from, to) => {
    path.moveTo(from, row);
    path.lineTo(to, row);
  });
  trace(columns, rows, (column, row) => at(column - 1, row) !== at(column, row), (column, from, to) => {
    path.moveTo(column, from);
    path.lineTo(column, to);
  });
  return path;
}
