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
  onClick("save", () => commands.save());
  onClick("refit", () => commands.refit());
  onClick("refusal-close", () => commands.dismiss());
  for (const what of ["undo", "redo", "reset"]) onClick(what, () => commands.act({ do: what }));
  onClick("theme", () => commands.toggleTheme());
  for (const what of ["mask", "cross", "smooth"]) onClick(what, () => commands.toggle(what));
  on("button[data-label]", "click", (button) => commands.setLabel(button.dataset.label));
  on("button[data-enlarge]", "click", (button) => commands.enlarge(button.dataset.enlarge));
  on("button[data-layout]", "click", (button) => commands.setLayout(button.dataset.layout));
  on("button[data-style]", "click", (button) => commands.setStyle(button.dataset.style));
  on("[data-role=opacity]", "input", (slider) => commands.setOpacity(slider.value));
  on("[data-role=window]", "change", (menu) => commands.chooseWindow(menu.value));
  on("[data-role=model]", "change", () => commands.switchModel());
  on("[data-role=plot]", "dblclick", () => commands.enlarge("surface"));
  for (const view of views) {
    attachPointer(view, commands);
    attachTouch(view, commands);
    attachWheel(view, commands);
    view.section.addEventListener("focus", () => commands.activate(view));
    for (const input of [view.slider, view.number]) {
      input.addEventListener("input", () => commands.setSlice(view, input.valueAsNumber));
    }
  }
}
