// Clicks on the views: which one is under the pointer, and dragging one to another voxel.

// This close to a click, in CSS pixels, the pointer is on it, or a finger.
const CLICK_GRASP = 9;
const FINGER_GRASP = 22;

// Place in the list of the click under a pointer event on a view, or -1; of several it is the
// nearest, and of those the last made, which is on top.
function clickUnder(view, event) {
  const { normal } = PLANES[view.plane];
  const point = view.pointUnder(event);
  let best = { index: -1, away: event.pointerType === "touch" ? FINGER_GRASP : CLICK_GRASP };
  view.stage.clicks.forEach(({ voxel }, index) => {
    if (voxel[normal] !== view.slice) return;
    const away = distanceOf(pointOf(view.plane, view.frame, voxel), point);
    if (away <= best.away) best = { index, away };
  });
  return best.index;
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

// Collected clicks as what the server will be asked for: nothing, or one round.
function roundOf(collected) {
  return collected.length > 0 ? [{ do: "clicks", clicks: collected }] : [];
}
