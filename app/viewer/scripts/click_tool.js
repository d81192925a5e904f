// Clicks on the views: which one is under the pointer, and dragging one to another voxel.

// This close to a click, in CSS pixels, the pointer is on it.
const CLICK_GRASP = 9;

// Place in the list of the click under a point of a view, or -1; the last made is on top.
function clickUnder(view, point) {
  const { clicks } = view.stage;
  const { normal } = PLANES[view.plane];
  return clicks.findLastIndex(({ voxel }) =>
    voxel[normal] === view.slice &&
    distanceOf(pointOf(view.plane, view.frame, voxel), point) <= CLICK_GRASP);
}

// What a drag of a click does; see pointer.js.
function clickGrip(view, index, { redraw, moveClick }) {
  const { stage } = view;
  const leave = () => {
    stage.dragged = null;
    redraw();
  };
  return {
    press() {},
    move(event, isDrag) {
      const voxel = view.voxelUnder(event);
      if (!isDrag || !voxel) return;
      stage.dragged = { index, voxel };
      redraw();
    },
    // False for a press that did not move: it is a click on that voxel, as anywhere else.
    drop() {
      const { dragged } = stage;
      if (!dragged) return false;
      leave();
      moveClick(index, dragged.voxel);
      return true;
    },
    cancel: leave,
  };
}
