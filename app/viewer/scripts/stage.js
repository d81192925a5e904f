// What all views share: the scan, where in it the person is, and how it is shown.

function newStage() {
  return {
    // None until the first scan is shown.
    volume: null,
    // What lies over the scan, see layers.js.
    layers: [],
    // The number of the answer on screen.
    maskVersion: 0,
    cross: [0, 0, 0],
    window: null,
    greys: null,
    // Of the active object: those that were answered or are on their way, and those collected.
    clicks: [],
    collected: [],
    collecting: false,
    // The label of the next click.
    label: "fg",
    // What the left button does: click, paint or erase.
    tool: "click",
    brushRadius: 4,
    // The stroke that is being drawn, as an action.
    stroke: null,
    // The voxel under the pointer.
    pointed: null,
    // Places in the list of the click under the pointer, and of the one that is dragged to a voxel.
    hovered: -1,
    dragged: null,
    opacity: 0.35,
    maskStyle: "both",
    maskShown: true,
    // Held: nothing lies over the scan.
    bare: false,
    crossShown: true,
    smooth: true,
    // The view that the pointer or the focus was in last.
    active: null,
  };
}
