// What the mouse, pen and fingers do on a view.
//
// Left click: place a click (Ctrl or ⌘: of the other label). Left drag or Shift + move: crosshair.
// Right drag: window and level. Middle drag or Space + drag: pan. Wheel: slices. Ctrl + wheel: zoom.

// A press that moves less than this, in CSS pixels, is a click.
const CLICK_SLACK = 4;
// Wheels report about this much a notch; trackpads report many small amounts instead.
const WHEEL_NOTCH = 100;

function attachPointer(view, tools) {
  const { canvas, stage } = view;
  let press = null;
  let rolled = 0;

  const dragKind = (event) => {
    if (event.button === 1 || (event.button === 0 && tools.spaceHeld())) return "pan";
    if (event.button === 2) return "window";
    return event.button === 0 ? "point" : null;
  };

  canvas.addEventListener("pointerdown", (event) => {
    const kind = stage.volume ? dragKind(event) : null;
    if (!kind) return;
    event.preventDefault();
    view.section.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    press = {
      kind,
      x: event.clientX,
      y: event.clientY,
      moved: false,
      camera: view.camera,
      window: stage.window,
    };
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!stage.volume) return;
    if (press) drag(event);
    const voxel = view.voxelUnder(event);
    if (event.shiftKey && !press && voxel) tools.moveCross(voxel);
    tools.hover(view, voxel);
  });

  canvas.addEventListener("pointerup", (event) => {
    if (!press) return;
    const voxel = view.voxelUnder(event);
    if (press.kind === "point" && !press.moved && voxel) {
      tools.click(voxel, event.ctrlKey || event.metaKey);
    }
    press = null;
  });

  const cancel = () => {
    press = null;
  };
  canvas.addEventListener("pointercancel", cancel);
  canvas.addEventListener("lostpointercapture", cancel);
  canvas.addEventListener("pointerleave", () => tools.hover(view, null));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("auxclick", (event) => event.preventDefault());

  function drag(event) {
    const dx = event.clientX - press.x;
    const dy = event.clientY - press.y;
    if (Math.hypot(dx, dy) > CLICK_SLACK) press.moved = true;
    if (!press.moved) return;
    if (press.kind === "pan") {
      const { zoom, shiftX, shiftY } = press.camera;
      view.setCamera({ zoom, shiftX: shiftX + dx, shiftY: shiftY + dy });
    } else if (press.kind === "window") {
      tools.setWindow(draggedWindow(press.window, dx, dy, view.size));
    } else {
      const voxel = view.voxelUnder(event);
      if (voxel && event.pointerType !== "touch") tools.moveCross(voxel);
    }
  }

  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!stage.volume) return;
      event.preventDefault();
      const amount = wheelPixels(event);
      if (event.ctrlKey || event.metaKey) {
        const factor = Math.exp(-amount / (WHEEL_NOTCH * 4));
        view.setCamera(zoomedAt(view.camera, view.size, view.pointUnder(event), factor));
        return;
      }
      if (Math.abs(amount) >= WHEEL_NOTCH / 2) {
        rolled = 0;
        const notches = Math.max(1, Math.round(Math.abs(amount) / (WHEEL_NOTCH * 1.2)));
        tools.stepSlice(view, -Math.sign(amount) * notches);
        return;
      }
      rolled += amount;
      const steps = Math.trunc(rolled / (WHEEL_NOTCH / 4));
      rolled -= steps * (WHEEL_NOTCH / 4);
      if (steps) tools.stepSlice(view, -steps);
    },
    { passive: false },
  );
}

function wheelPixels(event) {
  // Browsers divide a notch by the zoom of the page.
  const perUnit = [window.devicePixelRatio, WHEEL_NOTCH / 3, WHEEL_NOTCH][event.deltaMode];
  // Shift turns the wheel sideways in some browsers.
  return (event.deltaY || event.deltaX) * perUnit;
}

// Right drag: a whole view's width doubles the width of the window or makes it vanish; a whole
// view's height moves its level by its width.
function draggedWindow(window, dx, dy, size) {
  const width = window.high - window.low;
  const level = (window.high + window.low) / 2 + (dy / size.height) * width;
  const newWidth = width * Math.exp((2 * dx) / size.width);
  return { name: "Custom", low: level - newWidth / 2, high: level + newWidth / 2 };
}
