// The first mask while the scan is still being encoded: that of the patches that are done.

// objects: the layers of objects.js. isAwaited(scan): whether that scan is on screen without a mask.
// root, redraw: see viewer.js.
function growingMask({ root, objects, isAwaited, redraw }) {
  return async ({ scan, mask }) => {
    const overtaken = () => !isAwaited(scan);
    if (overtaken()) return;
    const object = { id: 0, colour: MASK_COLOUR, mask };
    if (!(await objects.set([object], overtaken))) return;
    objects.settle(object.id, []);
    redraw();
    root.dataset.growing = scan;
  };
}
