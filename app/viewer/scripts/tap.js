// Short presses on a view, by mouse, pen or finger: clicks, and pairs of them.
//
// The first press of a pair is answered at once, like any click; that it was no wish to change the
// mask shows only later, when what was clicked is taken back and the view is shown alone. Of two
// presses by mouse the browser says whether they are a pair, as the person has set it up.

const PAIR_SLACK = { mouse: 6, touch: 24 };
const DOUBLE_TAP_MILLISECONDS = 350;

function tapCommands(stage, commands) {
  // The presses that may be half of a pair, the last one first.
  let taps = [];
  // Whether the last press was a finger's: of pairs of those some browsers tell, too.
  let isTouch = false;
  const showAlone = (view) => {
    for (const { made } of taps) if (made) commands.takeBackClick();
    taps = [];
    commands.enlarge(view.plane);
  };
  const near = (view, event, slack) => (tap) =>
    tap.view === view && distanceOf(tap.point, view.pointUnder(event)) <= slack;

  return {
    tap(view, event) {
      isTouch = event.pointerType === "touch";
      taps = taps.filter(near(view, event, PAIR_SLACK[isTouch ? "touch" : "mouse"])).slice(0, 1);
      if (isTouch && taps.length > 0 && event.timeStamp - taps[0].time < DOUBLE_TAP_MILLISECONDS) {
        showAlone(view);
        return;
      }
      const voxel = view.voxelUnder(event);
      const made = voxel !== null && commands.click(voxel, event.ctrlKey || event.metaKey);
      taps.unshift({ view, point: view.pointUnder(event), time: event.timeStamp, made });
    },
    doubleClick(view, event) {
      if (stage.tool !== "click" || isTouch) return;
      taps = taps.filter(near(view, event, PAIR_SLACK.mouse));
      showAlone(view);
    },
  };
}
