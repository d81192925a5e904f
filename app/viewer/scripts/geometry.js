// The one place where the scan's axes meet the screen's.
//
// Voxels, clicks and masks are (i, j, k) of the closest canonical grid, RAS+: i grows to the
// patient's right, j to the front, k to the head. The screen is radiological (LPS): the patient's
// right is on the left, the front is at the top of the axial view and on the left of the sagittal
// one, the head is at the top. So each axis runs against its screen axis, on all three planes:
// screen cell = size − 1 − voxel index.
//
// Lengths on screen are CSS pixels. A *frame* says where a view shows its slice: the top left
// corner of the image (x, y) and the size of one voxel (cellWidth, cellHeight).

const PLANES = {
  axial: { normal: 2, across: 0, down: 1, letters: { left: "R", right: "L", top: "A", bottom: "P" } },
  coronal: { normal: 1, across: 0, down: 2, letters: { left: "R", right: "L", top: "S", bottom: "I" } },
  sagittal: { normal: 0, across: 1, down: 2, letters: { left: "A", right: "P", top: "S", bottom: "I" } },
};
const AXIS_NAMES = ["i", "j", "k"];

// How much of the view the whole slice fills at zoom 1.
const FIT = 0.94;

const INITIAL_CAMERA = { zoom: 1, shiftX: 0, shiftY: 0 };

function sliceSize(plane, grid) {
  const { across, down } = PLANES[plane];
  return { columns: grid.shape[across], rows: grid.shape[down] };
}

function frameOf(plane, grid, view, camera) {
  const { across, down } = PLANES[plane];
  const { columns, rows } = sliceSize(plane, grid);
  const widthMm = columns * grid.spacing[across];
  const heightMm = rows * grid.spacing[down];
  const scale = camera.zoom * FIT * Math.min(view.width / widthMm, view.height / heightMm);
  return {
    x: (view.width - widthMm * scale) / 2 + camera.shiftX,
    y: (view.height - heightMm * scale) / 2 + camera.shiftY,
    cellWidth: grid.spacing[across] * scale,
    cellHeight: grid.spacing[down] * scale,
    columns,
    rows,
    scale,
  };
}

// The voxel under a point of a view, or null beside the image.
function voxelAt(plane, grid, frame, slice, point) {
  const column = Math.floor((point.x - frame.x) / frame.cellWidth);
  const row = Math.floor((point.y - frame.y) / frame.cellHeight);
  if (column < 0 || row < 0 || column >= frame.columns || row >= frame.rows) return null;
  const { normal, across, down } = PLANES[plane];
  const voxel = [0, 0, 0];
  voxel[across] = frame.columns - 1 - column;
  voxel[down] = frame.rows - 1 - row;
  voxel[normal] = slice;
  return voxel;
}

// The middle of a voxel in a view, whatever slice the view shows.
function pointOf(plane, frame, voxel) {
  const { across, down } = PLANES[plane];
  return {
    x: frame.x + (frame.columns - 1 - voxel[across] + 0.5) * frame.cellWidth,
    y: frame.y + (frame.rows - 1 - voxel[down] + 0.5) * frame.cellHeight,
  };
}

// Calls visit(offset) for each cell of a slice, row by row from the top left of the screen, with
// the cell's place in an array in which i runs fastest.
function forEachCell(plane, grid, slice, visit) {
  const { normal, across, down } = PLANES[plane];
  const strides = [1, grid.shape[0], grid.shape[0] * grid.shape[1]];
  const { columns, rows } = sliceSize(plane, grid);
  for (let row = 0; row < rows; row += 1) {
    let offset =
      slice * strides[normal] + (rows - 1 - row) * strides[down] + (columns - 1) * strides[across];
    for (let column = 0; column < columns; column += 1) {
      visit(offset);
      offset -= strides[across];
    }
  }
}

// Camera that shows the same point of the slice under the pointer after a change of zoom.
function zoomedAt(camera, view, point, factor) {
  const zoom = Math.min(Math.max(camera.zoom * factor, 0.5), 40);
  const ratio = zoom / camera.zoom;
  const fromMiddle = (position, extent, shift) => (position - extent / 2 - shift) * (1 - ratio);
  return {
    zoom,
    shiftX: camera.shiftX + fromMiddle(point.x, view.width, camera.shiftX),
    shiftY: camera.shiftY + fromMiddle(point.y, view.height, camera.shiftY),
  };
}

function voxelToWorld(grid, voxel) {
  return grid.affine
    .slice(0, 3)
    .map((row) => row[0] * voxel[0] + row[1] * voxel[1] + row[2] * voxel[2] + row[3]);
}

// World coordinates as anatomists say them: "R 12.3  P 4.0  S 31.5" mm.
function worldInWords(world) {
  const names = [["R", "L"], ["A", "P"], ["S", "I"]];
  return world
    .map((mm, axis) => names[axis][mm < 0 ? 1 : 0] + " " + Math.abs(mm).toFixed(1))
    .join("  ");
}

function distanceOf(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

function clampVoxel(grid, voxel) {
  return voxel.map((index, axis) => Math.min(Math.max(index, 0), grid.shape[axis] - 1));
}

// The voxel some cells to the right of and below another on screen.
function voxelBeside(plane, grid, voxel, right, below) {
  const { across, down } = PLANES[plane];
  const moved = [...voxel];
  moved[across] -= right;
  moved[down] -= below;
  return clampVoxel(grid, moved);
}
