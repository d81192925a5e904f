// What the buttons of mouse and pen do on a view; see touch.js for fingers, wheel.js for the wheel.
//
// Left click: place a click (Ctrl or ⌘: of the other label). Left drag or Shift + move: crosshair.
// Right drag: window and level. Middle drag or Space + drag: pan. A tool or a click under the pointer
// may take the left button for itself: it gives a grip, an object that is told of the press (press),
// of moves (move, with whether they are a drag), of the release (drop, which says whether it meant
// anything to it) and of its end without one (cancel).

// A press that moves less than this, in CSS pixels, is a click.
const CLICK_SLACK = 4;

function attachPointer(view, tools) {
  const { canvas, stage } = view;
  let press = null;

  // Fingers are for touch.js.
  const isForUs = (event) => event.pointerType !== "touch";

  const dragKind = (event) => {
    if (event.button === 1 || (event.button === 0 && tools.spaceHeld())) return "pan";
    if (event.button === 2) return "window";
    return event.button === 0 ? "point" : null;
  };

  canvas.addEventListener("pointerdown", (event) => {
    const kind = stage.volume && isForUs(event) ? dragKind(event) : null;
    if (!kind) return;
    event.preventDefault();
    view.section.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    if (press) return;
    const grip = kind === "point" ? tools.grip(view, event) : null;
    grip?.press(event);
    press = {
      kind,
      grip,
      pointer: event.pointerId,
      x: event.clientX,
      y: event.clientY,
      moved: false,
      camera: view.camera,
      window: stage.window,
    };
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!stage.volume || !isForUs(event)) return;
    if (press?.pointer === event.pointerId) drag(event);
    const voxel = view.voxelUnder(event);
    if (event.shiftKey && !press && voxel) tools.moveCross(voxel);
    tools.hover(view, voxel, event);
  });

  canvas.addEventListener("pointerup", (event) => {
    if (press?.pointer !== event.pointerId) return;
    const { kind, grip, moved } = press;
    press = null;
    if (grip?.drop(event)) return;
    if (kind === "point" && !moved) tools.tap(view, event);
  });

  const cancel = () => {
    press?.grip?.cancel();
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
    press.grip?.move(event, press.moved);
    if (!press.moved || press.grip) return;
    if (press.kind === "pan") {
      const { zoom, shiftX, shiftY } = press.camera;
      view.setCamera({ zoom, shiftX: shiftX + dx, shiftY: shiftY + dy });
    } else if (press.kind === "window") {
      tools.setWindow(draggedWindow(press.window, dx, dy, view.size));
    } else {
      const voxel = view.voxelUnder(event);
      if (voxel) tools.moveCross(voxel);
    }
  }
}
