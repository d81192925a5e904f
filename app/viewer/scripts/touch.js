// What fingers do on a view. Tap: a click. Drag: slices. Hold, then drag: the crosshair. Two fingers:
// zoom and pan.

// Fingers tremble more than a mouse: a touch that moves less than this, in CSS pixels, is a tap.
const TAP_SLACK = 10;
const HOLD_MILLISECONDS = 450;
// The way from one slice to the next: a drag over the whole view passes through the whole scan, but
// no slice is narrower than a finger can feel.
const MIN_SLICE_WAY = 5;

function attachTouch(view, tools) {
  const { canvas, stage } = view;
  const fingers = new Map();
  // none, "tap" until it is clear what is meant, then "slices", "cross" or "pinch".
  let gesture = null;
  let start = null;
  let holdTimer = 0;

  const isFinger = (event) => event.pointerType === "touch" && stage.volume && !tools.drawsByTouch();
  const both = () => {
    const [a, b] = [...fingers.values()];
    return {
      middle: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 },
      distance: Math.max(Math.hypot(a.x - b.x, a.y - b.y), 1),
    };
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (!isFinger(event)) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    tools.activate(view);
    fingers.set(event.pointerId, view.pointUnder(event));
    clearTimeout(holdTimer);
    if (fingers.size === 2) {
      gesture = "pinch";
      start = { ...both(), camera: view.camera };
    } else if (fingers.size === 1) {
      gesture = "tap";
      start = { point: view.pointUnder(event), slice: view.slice };
      holdTimer = setTimeout(() => {
        gesture = "cross";
        followWith(event);
      }, HOLD_MILLISECONDS);
    }
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, view.pointUnder(event));
    if (gesture === "pinch" && fingers.size === 2) {
      pinch();
      return;
    }
    if (gesture === "tap" && distanceOf(view.pointUnder(event), start.point) > TAP_SLACK) {
      clearTimeout(holdTimer);
      gesture = "slices";
    }
    if (gesture === "slices") rollWith(event);
    if (gesture === "cross") followWith(event);
  });

  const lift = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    clearTimeout(holdTimer);
    if (gesture === "tap" && event.type === "pointerup") tools.tap(view, event);
    // What is left of a pinch is no drag.
    gesture = null;
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);

  function pinch() {
    const { middle, distance } = both();
    const zoomed = zoomedAt(start.camera, view.size, start.middle, distance / start.distance);
    view.setCamera({
      zoom: zoomed.zoom,
      shiftX: zoomed.shiftX + middle.x - start.middle.x,
      shiftY: zoomed.shiftY + middle.y - start.middle.y,
    });
  }

  function rollWith(event) {
    const slices = stage.volume.shape[PLANES[view.plane].normal];
    const way = Math.max(view.size.height / slices, MIN_SLICE_WAY);
    const steps = Math.round((start.point.y - view.pointUnder(event).y) / way);
    if (start.slice + steps !== view.slice) tools.setSlice(view, start.slice + steps);
  }

  function followWith(event) {
    const voxel = view.voxelUnder(event);
    if (voxel) tools.moveCross(voxel);
    tools.hover(view, voxel);
  }
}
