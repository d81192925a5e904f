// Keyboard shortcuts, and the sheet that lists them: one table for both.

// Each row: keys, what they do in words, and the name of the command and its arguments.
const SHORTCUTS = [
  { group: "Click", rows: [
    { keys: ["F"], words: "Clicks are foreground", run: ["setLabel", "fg"] },
    { keys: ["B"], words: "Clicks are background", run: ["setLabel", "bg"] },
    { keys: ["Enter"], words: "Click at the crosshair", run: ["clickCross", false], inView: true },
    { keys: ["Ctrl+Enter"], words: "… with the other label", run: ["clickCross", true], inView: true },
    { keys: ["Ctrl+Z"], words: "Undo", run: ["act", { do: "undo" }] },
    { keys: ["Ctrl+Shift+Z", "Ctrl+Y"], words: "Redo", run: ["act", { do: "redo" }] },
    { keys: ["X"], words: "Start over without clicks", run: ["act", { do: "reset" }] },
  ] },
  { group: "Look", rows: [
    { keys: ["M"], words: "Mask on and off", run: ["toggle", "mask"] },
    { keys: ["[", "]"], words: "Fill weaker, stronger", run: ["stepOpacity"] },
    { keys: ["C"], words: "Crosshair on and off", run: ["toggle", "cross"] },
    { keys: ["I"], words: "Smooth or exact voxels", run: ["toggle", "smooth"] },
    { keys: ["0"], words: "Reset zoom and position", run: ["refit"] },
    { keys: ["1", "2", "3", "4"], words: "Enlarge one view, and back", run: ["enlargeNumber"] },
  ] },
  { group: "Move", rows: [
    { keys: ["PageUp", "PageDown"], words: "Next, previous slice", run: ["stepActive"] },
    { keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], words: "Move the crosshair",
      run: ["nudge"], inView: true },
  ] },
  { group: "File", rows: [
    { keys: ["Ctrl+O"], words: "Open a scan", run: ["chooseFile"] },
    { keys: ["Ctrl+S"], words: "Download the mask", run: ["save"] },
    { keys: ["?"], words: "This sheet", run: ["help"] },
    { keys: ["Escape"], words: "Dismiss a message", run: ["dismiss"] },
  ] },
];

const MOUSE = [
  ["Click", "Add a click with the chosen label"],
  ["Ctrl + click", "Add a click with the other label"],
  ["Drag", "Move the crosshair"],
  ["Shift + move", "Crosshair follows the pointer"],
  ["Wheel", "Slices"],
  ["Ctrl + wheel", "Zoom at the pointer"],
  ["Middle drag, Space + drag", "Pan"],
  ["Right drag", "Window (sideways) and level (up and down)"],
];

const KEY_FACES = {
  Escape: "Esc", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", PageUp: "Page ↑", PageDown: "Page ↓",
};

// Returns a function that says whether the space bar is held.
function attachKeyboard(commands) {
  const table = new Map();
  for (const { rows } of SHORTCUTS) {
    for (const row of rows) for (const key of row.keys) table.set(key, { ...row, key });
  }
  let space = false;

  document.addEventListener("keydown", (event) => {
    const overView = event.target.closest?.(".cs-view") !== null;
    if (event.key === " " && !isControl(event.target)) {
      space = true;
      event.preventDefault();
    }
    const row = table.get(chord(event));
    if (!row || takesKey(event.target, event) || (row.inView && !overView)) return;
    event.preventDefault();
    const [command, ...given] = row.run;
    commands[command](...given, row.key);
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === " ") space = false;
  });
  window.addEventListener("blur", () => {
    space = false;
  });
  return () => space;
}

function chord(event) {
  const letter = event.key.length === 1 && /[a-z]/i.test(event.key);
  const key = letter ? event.key.toUpperCase() : event.key;
  const control = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  return control + (event.shiftKey && letter ? "Shift+" : "") + key;
}

function isControl(target) {
  return target.closest?.("button, input, select, textarea, dialog[open]") !== null;
}

// Whether a key means something to the control that has the focus.
function takesKey(target, event) {
  if (target.closest?.("dialog[open]")) return true;
  if (target.matches?.("input[type=range]")) return /^(Arrow|Page|Home|End)/.test(event.key);
  if (target.matches?.("input[type=number]")) return !/^[a-z?[\]]$/i.test(event.key) && !event.ctrlKey;
  if (target.matches?.("input, select, textarea")) return !event.ctrlKey && !event.metaKey;
  return target.matches?.("button") && (event.key === "Enter" || event.key === " ");
}

function fillHelpSheet(sheet) {
  const faces = (keys) =>
    keys.map((key) => "<kbd>" + key.split("+").map((part) => KEY_FACES[part] ?? part).join(" + ") + "</kbd>");
  const section = (name, rows) =>
    "<section><h3>" + name + "</h3><dl>" +
    rows.map(([left, right]) => "<div><dt>" + left + "</dt><dd>" + right + "</dd></div>").join("") +
    "</dl></section>";
  sheet.innerHTML =
    '<form method="dialog"><h2>Keyboard and mouse</h2>' +
    '<button class="cs-button cs-icon" title="Close (Esc)" aria-label="Close">×</button></form>' +
    '<div class="cs-help-columns">' +
    section("Mouse, on a view", MOUSE) +
    SHORTCUTS.map(({ group, rows }) =>
      section(group, rows.map(({ keys, words }) => [faces(keys).join(" "), words]))).join("") +
    "</div>";
}
