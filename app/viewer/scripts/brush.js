// The brush: a ball, round in millimetres, drawn along a line of voxels.
//
// What is drawn shows at once, on all views; the server then works it out by the same arithmetic
// (caiseg/annotation/brush.py) and confirms it.

const BRUSH_RADII_MM = { min: 0.5, max: 25, step: 0.5 };
// A path gets its next point when the pointer has come this share of the radius further.
const PATH_STEP = 0.25;
// The server takes strokes of at most 5000 points.
const MAX_PATH = 4000;

// Calls visit(i, j, k) for each voxel whose centre lies within the radius of the line from one
// voxel to another.
function forEachNearLine(grid, [from, to], radius, visit) {
  const { spacing } = grid;
  const { low, high } = boxAround(grid, [from, to], radius);
  const [di, dj, dk] = from.map((value, axis) => (to[axis] - value) * spacing[axis]);
  const length = di * di + dj * dj + dk * dk;
  for (let k = low[2]; k < high[2]; k += 1) {
    const pk = (k - from[2]) * spacing[2];
    for (let j = low[1]; j < high[1]; j += 1) {
      const pj = (j - from[1]) * spacing[1];
      for (let i = low[0]; i < high[0]; i += 1) {
        const pi = (i - from[0]) * spacing[0];
        const along = pi * di + pj * dj + pk * dk;
        const share = length > 0 ? Math.min(Math.max(along / length, 0), 1) : 0;
        const ei = pi - share * di;
        const ej = pj - share * dj;
        const ek = pk - share * dk;
        if (ei * ei + ej * ej + ek * ek <= radius * radius) visit(i, j, k);
      }
    }
  }
}

function boxAround({ shape, spacing }, [from, to], radius) {
  const reach = spacing.map((step) => Math.ceil(radius / step));
  return {
    low: reach.map((steps, axis) => Math.max(Math.min(from[axis], to[axis]) - steps, 0)),
    high: reach.map((steps, axis) =>
      Math.min(Math.max(from[axis], to[axis]) + steps + 1, shape[axis])),
  };
}

// Draws the part of a stroke from point `first` of its path on into a mask.
// isTaken(i, j, k): whether the voxel stays with another object.
function drawStroke(mask, grid, stroke, first, isTaken) {
  const { path, radius } = stroke;
  const paint = stroke.do === "paint";
  for (let place = first; place < path.length; place += 1) {
    const line = [path[Math.max(place - 1, 0)], path[place]];
    if (paint) mask.cover(boxAround(grid, line, radius));
    forEachNearLine(grid, line, radius, (i, j, k) => {
      const cell = mask.placeOf(i, j, k);
      if (cell >= 0 && !(paint && isTaken(i, j, k))) mask.voxels[cell] = paint ? 1 : 0;
    });
  }
  mask.version += 1;
}

// What a drag with the brush does; see pointer.js. draw(stroke, first): shows a stroke from that
// point of its path on; finish(stroke): it is complete; cancel(): it shall not have been.
function brushGrip(view, tool, radius, { draw, finish, cancel }) {
  const { spacing } = view.stage.volume;
  let stroke = null;
  const far = (a, b) => Math.hypot(...a.map((value, axis) => (value - b[axis]) * spacing[axis]));

  const extend = (voxel, isLast) => {
    if (!voxel) return;
    if (!stroke) {
      stroke = { do: tool, path: [voxel], radius };
      draw(stroke, 0);
      return;
    }
    const last = stroke.path.at(-1);
    if (voxel.every((value, axis) => value === last[axis])) return;
    if (!isLast && far(voxel, last) < radius * PATH_STEP) return;
    stroke.path.push(voxel);
    draw(stroke, stroke.path.length - 1);
    if (stroke.path.length < MAX_PATH) return;
    finish(stroke);
    stroke = { do: tool, path: [voxel], radius };
  };
  return {
    press: (event) => extend(view.voxelUnder(event), false),
    move: (event) => extend(view.voxelUnder(event), false),
    drop(event) {
      extend(view.voxelUnder(event), true);
      if (stroke) finish(stroke);
      return true;
    },
    cancel,
  };
}

// The ball where it cuts a view's slice.
function drawBrush(context, plane, grid, frame, slice, { voxel, radius, tool }) {
  const { normal } = PLANES[plane];
  const away = (voxel[normal] - slice) * grid.spacing[normal];
  if (Math.abs(away) >= radius) return;
  const { x, y } = pointOf(plane, frame, voxel);
  context.save();
  context.beginPath();
  context.arc(x, y, Math.sqrt(radius * radius - away * away) * frame.scale, 0, 2 * Math.PI);
  context.lineWidth = 3;
  context.strokeStyle = HALO;
  context.stroke();
  // Told apart without colour: erasing is dashed.
  context.setLineDash(tool === "erase" ? [4, 4] : []);
  context.lineWidth = 1.5;
  context.strokeStyle = "#ffffff";
  context.stroke();
  context.restore();
}
