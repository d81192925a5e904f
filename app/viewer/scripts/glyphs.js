// What is drawn over a slice: crosshair, clicks, scale bar. All in CSS pixels.

const BACKGROUND_COLOUR = "#56B4E9";
const HALO = "rgba(0, 0, 0, 0.85)";
const CLICK_ARM = 6;
// Clicks show faintly on slices up to this far from their own.
const CLICK_REACH_MM = 6;
const SCALE_BARS_MM = [1, 2, 5, 10, 20, 50, 100, 200];

// Leaves the letters at the edges legible, and what lies under the middle visible.
function drawCrosshair(context, view, point) {
  const gap = 9;
  const edge = 24;
  context.save();
  context.strokeStyle = BACKGROUND_COLOUR;
  context.globalAlpha = 0.55;
  context.lineWidth = 1;
  context.beginPath();
  const x = Math.round(point.x) + 0.5;
  const y = Math.round(point.y) + 0.5;
  for (const [x0, y0, x1, y1] of [
    [edge, y, x - gap, y],
    [x + gap, y, view.width - edge, y],
    [x, edge, x, y - gap],
    [x, y + gap, x, view.height - edge],
  ]) {
    if (x1 < x0 || y1 < y0) continue;
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
  }
  context.stroke();
  context.restore();
}

// A plus or a minus with a dark halo: told apart without colour, legible on any grey. Hollow: it is
// collected and not sent yet.
function drawClick(context, point, foreground, opacity, hollow) {
  const path = new Path2D();
  path.moveTo(point.x - CLICK_ARM, point.y);
  path.lineTo(point.x + CLICK_ARM, point.y);
  if (foreground) {
    path.moveTo(point.x, point.y - CLICK_ARM);
    path.lineTo(point.x, point.y + CLICK_ARM);
  }
  const colour = foreground ? MASK_COLOUR : BACKGROUND_COLOUR;
  const strokes = hollow ? [[8, HALO], [5, colour], [2, "#000000"]] : [[6, HALO], [2.5, colour]];
  context.save();
  context.globalAlpha = opacity;
  context.lineCap = "round";
  for (const [width, style] of strokes) {
    context.lineWidth = width;
    context.strokeStyle = style;
    context.stroke(path);
  }
  context.restore();
}

// The number of the click under the pointer.
function drawClickNumber(context, point, number) {
  context.save();
  context.font = "600 13px system-ui, sans-serif";
  drawHaloed(context, String(number), point.x + CLICK_ARM + 3, point.y - CLICK_ARM);
  context.restore();
}

function drawClicks(context, { clicks, dragged, hovered, volume }, plane, frame, slice) {
  const { normal } = PLANES[plane];
  clicks.forEach((click, index) => {
    const voxel = dragged?.index === index ? dragged.voxel : click.voxel;
    const steps = Math.abs(voxel[normal] - slice);
    const near = steps === 1 || steps * volume.spacing[normal] <= CLICK_REACH_MM;
    if (steps > 0 && !near) return;
    const opacity = (steps === 0 ? 1 : 0.35) * (click.pending ? 0.6 : 1);
    const point = pointOf(plane, frame, voxel);
    drawClick(context, point, click.label === "fg", opacity, click.collected);
    if (hovered === index) drawClickNumber(context, point, index + 1);
  });
}

function drawScaleBar(context, view, frame) {
  const fitting = SCALE_BARS_MM.filter((mm) => mm * frame.scale <= view.width * 0.28);
  const mm = fitting.at(-1) ?? SCALE_BARS_MM[0];
  const length = mm * frame.scale;
  const x = 10.5;
  const y = view.height - 10.5;
  const path = new Path2D();
  path.moveTo(x, y - 4);
  path.lineTo(x, y);
  path.lineTo(x + length, y);
  path.lineTo(x + length, y - 4);
  const label = mm >= 10 ? mm / 10 + " cm" : mm + " mm";
  context.save();
  context.font = "10px system-ui, sans-serif";
  context.lineWidth = 3;
  context.strokeStyle = HALO;
  context.stroke(path);
  context.strokeText(label, x + length + 6, y);
  context.lineWidth = 1;
  context.strokeStyle = "#c9d1d9";
  context.stroke(path);
  context.fillStyle = "#c9d1d9";
  context.fillText(label, x + length + 6, y);
  context.restore();
}
