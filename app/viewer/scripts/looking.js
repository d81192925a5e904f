// Commands that change how the scan is looked at, never what is asked of the server.

const MASK_STYLES = ["fill", "contour", "both"];
const LAYOUTS = ["grid", "focus", "single"];
// What one key press does to the window, as a share of its width, and to the camera.
const WINDOW_STEP = 0.05;
const ZOOM_STEP = 1.25;
const PAN_STEP = 40;

// element, find: of the whole viewer. stage, views, surface, redraw, panel: see viewer.js.
function lookingCommands({ element, find, stage, views, surface, redraw, panel }) {
  const grid = find("views");
  let before = { layout: "grid", main: "axial" };

  const showLayout = () => {
    const { layout, main } = grid.dataset;
    for (const view of grid.children) view.toggleAttribute("data-large", view.dataset.plane === main);
    pressOne(element.querySelectorAll("button[data-layout]"), "layout", layout);
    for (const button of element.querySelectorAll("[data-enlarge]")) {
      press(button, layout === "single" && button.dataset.enlarge === main);
    }
  };

  const commands = {
    setWindow(window) {
      stage.window = window;
      stage.greys = greyTable(stage.volume.description, window);
      panel.showWindow(window);
      redraw();
    },
    chooseWindow(name) {
      const chosen = stage.volume?.description.windows.find((window) => window.name === name);
      if (chosen) commands.setWindow(chosen);
    },
    stepWindow(key) {
      if (!stage.volume) return;
      const { windows } = stage.volume.description;
      const place = windows.findIndex((window) => window.name === stage.window.name);
      const next = key === "W" ? place + 1 : Math.max(place, 0) - 1;
      commands.setWindow(windows.at(next % windows.length));
    },
    nudgeWindow(key) {
      if (!stage.volume) return;
      const wider = { "Shift+ArrowLeft": -1, "Shift+ArrowRight": 1 }[key] ?? 0;
      const darker = { "Shift+ArrowUp": -1, "Shift+ArrowDown": 1 }[key] ?? 0;
      const size = { width: 2, height: 1 };
      commands.setWindow(draggedWindow(stage.window, wider * WINDOW_STEP, darker * WINDOW_STEP, size));
    },
    toggle(what) {
      const shown = { mask: "maskShown", cross: "crossShown", smooth: "smooth" }[what];
      stage[shown] = !stage[shown];
      press(find(what), stage[shown]);
      redraw();
    },
    setStyle(style) {
      stage.maskStyle = style;
      pressOne(element.querySelectorAll("[data-style]"), "style", style);
      redraw();
    },
    nextStyle() {
      commands.setStyle(MASK_STYLES[(MASK_STYLES.indexOf(stage.maskStyle) + 1) % MASK_STYLES.length]);
    },
    setOpacity(percent) {
      stage.opacity = percent / 100;
      redraw();
    },
    stepOpacity(key) {
      const slider = find("opacity");
      slider.value = Number(slider.value) + (key === "]" ? 10 : -10);
      slider.dispatchEvent(new Event("input"));
    },
    bare() {
      stage.bare = true;
      redraw();
    },
    covered() {
      stage.bare = false;
      redraw();
    },
    refit() {
      for (const view of views) view.setCamera(INITIAL_CAMERA);
      surface.resetCamera();
    },
    stepZoom(key) {
      if (!stage.volume) return;
      const { active } = stage;
      const point = pointOf(active.plane, active.frame, stage.cross);
      const factor = key === "+" ? ZOOM_STEP : 1 / ZOOM_STEP;
      active.setCamera(zoomedAt(active.camera, active.size, point, factor));
    },
    nudgeCamera(key) {
      const right = { "Ctrl+ArrowLeft": -1, "Ctrl+ArrowRight": 1 }[key] ?? 0;
      const below = { "Ctrl+ArrowUp": -1, "Ctrl+ArrowDown": 1 }[key] ?? 0;
      const { zoom, shiftX, shiftY } = stage.active.camera;
      stage.active.setCamera({
        zoom, shiftX: shiftX + right * PAN_STEP, shiftY: shiftY + below * PAN_STEP,
      });
    },
    // grid: four of one size; focus: one large, three small; single. The large one is `main`.
    setLayout(layout, main = stage.active.plane) {
      if (grid.dataset.layout !== "single") before = { ...grid.dataset };
      Object.assign(grid.dataset, { layout, main });
      showLayout();
    },
    nextLayout() {
      if (!stage.volume) return;
      commands.setLayout(LAYOUTS[(LAYOUTS.indexOf(grid.dataset.layout) + 1) % LAYOUTS.length]);
    },
    // One view alone; asked for again, the layout from before.
    enlarge(name) {
      const { layout, main } = grid.dataset;
      if (layout === "single" && main === name) commands.setLayout(before.layout, before.main);
      else commands.setLayout("single", name);
    },
    // What the button in a view's corner does: in the focus layout a small view becomes the large one.
    promote(name) {
      const { layout, main } = grid.dataset;
      if (layout === "focus" && main !== name) commands.setLayout(layout, name);
      else commands.enlarge(name);
    },
    enlargeNumber(key) {
      if (stage.volume) commands.enlarge(Object.keys(VIEW_NAMES)[Number(key) - 1]);
    },
  };
  // Four views side by side are too small for the fingers that hold a phone.
  if (window.matchMedia("(max-width: 720px)").matches) commands.setLayout("focus");
  showLayout();
  return commands;
}

function press(button, pressed) {
  button.setAttribute("aria-pressed", pressed);
}

// Of some buttons, the one whose data attribute has this value.
function pressOne(buttons, attribute, value) {
  for (const button of buttons) press(button, button.dataset[attribute] === value);
}
