// Commands that move the crosshair, by which all views are linked, and what follows it.

// root: the element that says where the crosshair is. stage, views, panel: see viewer.js.
// pointAt(view, voxel, event): told where the pointer is.
function movingCommands({ root, stage, views, panel, pointAt }) {
  // The view that the pointer is over, and the voxel under it when it moved last.
  let pointed = null;

  // The slice under a pointer that rests may change; without a pointer the crosshair counts.
  const readOut = () => {
    if (!stage.volume) return;
    const { view, voxel } = pointed ?? {};
    panel.showPointer(
      stage.volume,
      voxel ? voxel.with(PLANES[view.plane].normal, view.slice) : stage.cross,
    );
  };

  const commands = {
    moveCross(voxel) {
      stage.cross = voxel;
      root.dataset.pos = voxel.join(",");
      for (const view of views) view.showSlice();
      readOut();
    },
    goTo(voxel) {
      commands.moveCross(clampVoxel(stage.volume, voxel));
    },
    setSlice(view, index) {
      if (!stage.volume || !Number.isFinite(index)) return;
      commands.goTo(stage.cross.with(PLANES[view.plane].normal, Math.round(index)));
    },
    stepSlice(view, steps) {
      commands.setSlice(view, view.slice + steps);
    },
    stepActive(key) {
      if (!stage.volume) return;
      commands.stepSlice(stage.active, key === "PageUp" ? 1 : -1);
      panel.speak(stage);
    },
    nudge(key) {
      if (!stage.volume) return;
      const right = { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0;
      const below = { ArrowUp: -1, ArrowDown: 1 }[key] ?? 0;
      const { plane } = stage.active;
      commands.moveCross(voxelBeside(plane, stage.volume, stage.cross, right, below));
      panel.speak(stage);
    },
    focusView() {
      stage.active.section.focus({ preventScroll: true });
    },
    activate(view) {
      stage.active = view;
    },
    hover(view, voxel, event) {
      commands.activate(view);
      pointed = voxel && { view, voxel };
      readOut();
      pointAt(view, voxel, event);
    },
    // The voxel under the pointer was one of the scan before.
    forgetPointer() {
      pointed = null;
    },
  };
  return commands;
}
