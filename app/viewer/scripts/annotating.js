// Commands that change the annotation: clicks, the brush, objects.

// element, find: of the whole viewer. stage, redraw, panel: see viewer.js. objects: the layers of
// objects.js. conversation: isReady(), whether there is a scan to work on; active(), the id of the
// active object; ask(action), asks the server for it; pending(), what is on its way. changed():
// called when clicks or layers have changed on this page only. moveCross(voxel): as in viewer.js.
function annotatingCommands({
  element, find, stage, objects, conversation, redraw, changed, panel, moveCross,
}) {
  const showTool = () => {
    pressOne(element.querySelectorAll("button[data-tool]"), "tool", stage.tool);
    const labels = element.querySelectorAll("button[data-label]");
    pressOne(labels, "label", stage.tool === "click" ? stage.label : "");
    find("root").dataset.label = stage.label;
    find("root").dataset.tool = stage.tool;
    redraw();
  };

  const commands = {
    setLabel(chosen) {
      stage.label = chosen;
      commands.setTool("click");
    },
    // click, paint or erase. Asked for again, the brush is put down.
    setTool(tool) {
      stage.tool = tool !== "click" && stage.tool === tool ? "click" : tool;
      showTool();
    },
    setBrush(radius) {
      stage.brushRadius = radius;
      find("brush").value = radius;
      find("brush-size").textContent = radius + " mm";
      redraw();
    },
    stepBrush(key) {
      const { min, max } = BRUSH_RADII_MM;
      const step = stage.brushRadius < 5 ? 0.5 : 1;
      commands.setBrush(Math.min(Math.max(stage.brushRadius + (key === "." ? step : -step), min), max));
    },
    drawsByTouch: () => stage.tool !== "click",
    // What a press on a view holds, see pointer.js; null for nothing.
    grip(view, event) {
      if (!conversation.isReady()) return null;
      if (stage.tool !== "click") return brushGrip(view, stage.tool, stage.brushRadius, brush);
      const index = clickUnder(view, event);
      return index < 0 ? null : clickGrip(view, index, { redraw, moveClick: commands.moveClick });
    },
    pointAt(view, voxel, event) {
      stage.pointed = voxel;
      const index = voxel && event ? clickUnder(view, event) : -1;
      commands.hoverClick(index);
      if (stage.tool !== "click") redraw();
    },
    hoverClick(index) {
      if (stage.hovered === index) return;
      stage.hovered = index;
      find("root").dataset.hovered = index + 1;
      panel.clicks.mark(index);
      redraw();
    },

    // Returns whether there is a click now.
    click(voxel, otherLabel) {
      moveCross(voxel);
      if (!conversation.isReady()) return false;
      commands.addClick(voxel, otherLabel);
      return true;
    },
    // While clicks are collected, Enter on the last of them sends them.
    clickCross(otherLabel) {
      const last = stage.collected.at(-1);
      if (last && last.voxel.join() === stage.cross.join()) commands.sendCollected();
      else if (stage.volume) commands.click(stage.cross, otherLabel);
    },
    // Of the click that was made a moment ago.
    takeBackClick: () => commands.act({ do: "undo" }),
    addClick(voxel, otherLabel) {
      const other = stage.label === "fg" ? "bg" : "fg";
      const click = { voxel, label: otherLabel ? other : stage.label };
      if (!stage.collecting) {
        commands.act({ do: "click", ...click });
        return;
      }
      stage.collected = [...stage.collected, click];
      changed();
    },
    // Before anything else happens to the object, what was collected for it is sent.
    act(action) {
      if (!conversation.isReady()) return;
      if (stage.collected.length > 0 && action.do === "undo") {
        stage.collected = stage.collected.slice(0, -1);
        changed();
        return;
      }
      commands.sendCollected();
      conversation.ask(action);
    },
    toggleCollecting() {
      stage.collecting = !stage.collecting;
      press(find("collect"), stage.collecting);
      commands.sendCollected();
    },
    sendCollected() {
      if (stage.collected.length === 0) return;
      const [round] = roundOf(stage.collected);
      stage.collected = [];
      conversation.ask(round);
    },
    moveClick(index, voxel) {
      const place = index - (stage.clicks.length - stage.collected.length);
      if (place < 0) {
        commands.act({ do: "move", index, voxel });
        return;
      }
      stage.collected = stage.collected.with(place, { ...stage.collected[place], voxel });
      changed();
    },
    deleteClick(index) {
      commands.hoverClick(-1);
      const place = index - (stage.clicks.length - stage.collected.length);
      if (place < 0) {
        commands.act({ do: "delete", index });
        return;
      }
      stage.collected = stage.collected.filter((_, other) => other !== place);
      changed();
    },
    deleteHovered() {
      if (stage.hovered >= 0) commands.deleteClick(stage.hovered);
    },

    newObject: () => commands.act({ do: "new" }),
    acceptObject: () => commands.act({ do: "accept" }),
    selectObject(id) {
      if (id !== conversation.active()) commands.act({ do: "select", object: id });
    },
    renameObject: (id, name) => commands.act({ do: "rename", object: id, name }),
    recolourObject: (id, colour) => commands.act({ do: "recolour", object: id, colour }),
    removeObject: (id) => commands.act({ do: "remove", object: id }),
    showObject(id) {
      const layer = objects.of(id);
      layer.shown = !layer.shown;
      changed();
    },
    chooseMask: () => find("mask-file").click(),
  };

  const brush = {
    draw(stroke, first) {
      stage.stroke = stroke;
      objects.draw(conversation.active(), stroke, first);
      // So that the other views show what becomes of it.
      moveCross(stroke.path.at(-1));
      redraw();
    },
    finish(stroke) {
      stage.stroke = null;
      commands.act(stroke);
    },
    cancel() {
      stage.stroke = null;
      objects.settle(conversation.active(), conversation.pending());
      redraw();
    },
  };

  Object.assign(find("brush"), BRUSH_RADII_MM);
  commands.setBrush(stage.brushRadius);
  return commands;
}
