// The wheel, and trackpads that pose as one. Plain: slices. With Ctrl, or a pinch: zoom.

// Wheels report about this much a notch; trackpads report many small amounts instead.
const WHEEL_NOTCH = 100;

function attachWheel(view, tools) {
  const { canvas, stage } = view;
  let rolled = 0;

  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!stage.volume) return;
      event.preventDefault();
      const amount = wheelPixels(event);
      if (event.ctrlKey || event.metaKey) {
        // A pinch on a trackpad comes as many small turns of the wheel with Ctrl held.
        const perZoom = Math.abs(amount) < WHEEL_NOTCH / 2 ? WHEEL_NOTCH : WHEEL_NOTCH * 4;
        const factor = Math.exp(-amount / perZoom);
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
