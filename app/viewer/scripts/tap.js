// Short presses on a view, by mouse, pen or finger: clicks, and pairs of them.

const DOUBLE_MILLISECONDS = 350;
const DOUBLE_SLACK = { mouse: 4, pen: 8, touch: 24 };

// The first press of a double click is answered at once, like any click; it is no wish to change
// the mask, so the second takes it back before it shows the view alone.
function tapCommand(commands) {
  let first = null;
  return (view, event) => {
    const voxel = view.voxelUnder(event);
    const point = view.pointUnder(event);
    const isSecond =
      first?.view === view &&
      event.timeStamp - first.time < DOUBLE_MILLISECONDS &&
      distanceOf(point, first.point) <= DOUBLE_SLACK[event.pointerType];
    if (isSecond) {
      if (first.voxel) commands.takeBackClick();
      first = null;
      commands.enlarge(view.plane);
      return;
    }
    first = { view, voxel, point, time: event.timeStamp };
    if (voxel) commands.click(voxel, event.ctrlKey || event.metaKey);
  };
}
