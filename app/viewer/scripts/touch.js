// What fingers do on a view. Tap: a click. Drag: slices. Hold, then drag: the crosshair, or the click
// under the finger. With the brush: drawing. Two fingers: zoom and pan. Three: window and level.

// Fingers tremble more than a mouse: a touch that moves less than this, in CSS pixels, is a tap.
const TAP_SLACK = 10;
const HOLD_MILLISECONDS = 450;
// The way from one slice to the next: a drag over the whole view passes through the whole scan, but
// no slice is narrower than a finger can feel.
const MIN_SLICE_WAY = 5;

function attachTouch(view, tools) {
  const { canvas, stage } = view;
  const fingers = new Map();
  // none, "tap" until it is clear what is meant, then "slices", "cross", "grip", "pinch" or "window".
  let gesture = null;
  let start = null;
  // What a single finger holds; see pointer.js.
  let grip = null;
  let holdTimer = 0;

  const isFinger = (event) => event.pointerType === "touch" && stage.volume;
  const middle = () => {
    const points = [...fingers.values()];
    const mean = (axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
    return { x: mean("x"), y: mean("y") };
  };
  const distance = () => {
    const [a, b] = fingers.values();
    return Math.max(distanceOf(a, b), 1);
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (!isFinger(event)) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    tools.activate(view);
    fingers.set(event.pointerId, view.pointUnder(event));
    clearTimeout(holdTimer);
    if (fingers.size === 1) {
      begin(event);
      return;
    }
    // What the first finger has begun was not meant.
    grip?.cancel();
    grip = null;
    gesture = { 2: "pinch", 3: "window" }[fingers.size] ?? null;
    start = { middle: middle(), distance: distance(), camera: view.camera, window: stage.window };
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, view.pointUnder(event));
    if (gesture === "pinch") pinch();
    if (gesture === "window") {
      const { x, y } = middle();
      tools.setWindow(draggedWindow(start.window, x - start.middle.x, y - start.middle.y, view.size));
    }
    if (fingers.size === 1 && distanceOf(view.pointUnder(event), start.point) > TAP_SLACK) {
      start.isDrag = true;
    }
    if (gesture === "tap" && start.isDrag) {
      clearTimeout(holdTimer);
      gesture = "slices";
    }
    if (gesture === "slices") rollWith(event);
    if (gesture === "cross") followWith(event);
    if (gesture === "grip") {
      grip.move(event, start.isDrag);
      tools.hover(view, view.voxelUnder(event), event);
    }
  });

  const lift = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    clearTimeout(holdTimer);
    const isMeant = event.type === "pointerup";
    if (gesture === "tap" && isMeant) tools.tap(view, event);
    if (isMeant) grip?.drop(event);
    else grip?.cancel();
    grip = null;
    // What is left of a pinch is no drag.
    gesture = null;
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);

  function begin(event) {
    start = { point: view.pointUnder(event), slice: view.slice, isDrag: false };
    if (tools.drawsByTouch()) {
      take(event);
      if (grip) return;
    }
    gesture = "tap";
    holdTimer = setTimeout(() => {
      take(event);
      if (grip) return;
      gesture = "cross";
      followWith(event);
    }, HOLD_MILLISECONDS);
  }

  // Takes hold of what lies under the finger, if anything does.
  function take(event) {
    grip = tools.grip(view, event);
    if (!grip) return;
    gesture = "grip";
    grip.press(event);
    tools.hover(view, view.voxelUnder(event), event);
  }

  function pinch() {
    const zoomed = zoomedAt(start.camera, view.size, start.middle, distance() / start.distance);
    const { x, y } = middle();
    view.setCamera({
      zoom: zoomed.zoom,
      shiftX: zoomed.shiftX + x - start.middle.x,
      shiftY: zoomed.shiftY + y - start.middle.y,
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
