// Buttons, menus and sliders, each bound to the command that it stands for.

function attachControls(element, views, commands) {
  const on = (selector, event, run) => {
    for (const control of element.querySelectorAll(selector)) {
      control.addEventListener(event, () => run(control));
    }
  };
  const onClick = (role, run) => on("[data-role=" + role + "]", "click", run);

  onClick("open", () => commands.chooseFile());
  onClick("demo", () => commands.openDemo());
  onClick("help", () => commands.help());
  onClick("cancel", () => commands.cancel());
  onClick("save", () => commands.save());
  onClick("refit", () => commands.refit());
  onClick("refusal-close", () => commands.dismiss());
  for (const what of ["undo", "redo", "reset"]) onClick(what, () => commands.act({ do: what }));
  on("button[data-tool]", "click", (button) => commands.setTool(button.dataset.tool));
  on("[data-role=brush]", "input", (slider) => commands.setBrush(slider.valueAsNumber));
  onClick("collect", () => commands.toggleCollecting());
  onClick("send-clicks", () => commands.sendCollected());
  onClick("new-object", () => commands.newObject());
  onClick("accept", () => commands.acceptObject());
  onClick("start-from", () => commands.chooseMask());
  for (const kind of ["affinity", "probability"]) onClick("map-" + kind, () => commands.toggleMap(kind));
  onClick("map-uncertain", () => commands.toggleUncertain());
  onClick("go-uncertain", () => commands.goToUncertain());
  on("button[data-file]", "click", (button) => commands.saveFile(button.dataset.file));
  onClick("previous-scan", () => commands.stepScan("J"));
  onClick("next-scan", () => commands.stepScan("K"));
  onClick("model-info", () => commands.showModels());
  onClick("theme", () => commands.toggleTheme());
  for (const what of ["mask", "cross", "smooth"]) onClick(what, () => commands.toggle(what));
  on("button[data-label]", "click", (button) => commands.setLabel(button.dataset.label));
  on("button[data-enlarge]", "click", (button) => commands.promote(button.dataset.enlarge));
  on("button[data-layout]", "click", (button) => commands.setLayout(button.dataset.layout));
  on("button[data-style]", "click", (button) => commands.setStyle(button.dataset.style));
  on("[data-role=opacity]", "input", (slider) => commands.setOpacity(slider.value));
  on("[data-role=window]", "change", (menu) => commands.chooseWindow(menu.value));
  on("[data-role=model]", "change", () => commands.switchModel());
  on("[data-role=plot]", "dblclick", () => commands.enlarge("surface"));
  giveFocusBack(element, () => commands.focusView());
  for (const view of views) {
    attachPointer(view, commands);
    view.canvas.addEventListener("dblclick", (event) => commands.doubleClick(view, event));
    attachTouch(view, commands);
    attachWheel(view, commands);
    view.section.addEventListener("focus", () => commands.activate(view));
    for (const input of [view.slider, view.number]) {
      input.addEventListener("input", () => commands.setSlice(view, input.valueAsNumber));
    }
  }
}

// What was chosen from a menu by mouse or finger is done with: the keys are for the views again. Who
// walks through it by keyboard stays there, because each step is a change.
function giveFocusBack(element, focusView) {
  const isMenu = (event) => event.target.matches("select, input[type=color]");
  let isByKey = false;
  element.addEventListener("keydown", (event) => {
    isByKey = isMenu(event);
  });
  for (const other of ["pointerdown", "focusout"]) {
    element.addEventListener(other, () => {
      isByKey = false;
    });
  }
  element.addEventListener("change", (event) => {
    if (isMenu(event) && !isByKey) focusView();
  });
}
