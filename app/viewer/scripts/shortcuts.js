// Every shortcut, once: the keyboard, the sheet that lists them and the tooltips read this table.
//
// Each row: keys; what they do in words; the command of viewer.js with its arguments (the key comes
// last); `inView` for keys that mean something only while a view has the focus; `held` for a pair
// of commands, of which the second runs when the key is let go; `control` for the button that does
// the same, as a selector, or as many selectors as keys: its tooltip names the key.
const SHORTCUTS = [
  { group: "Click", rows: [
    { keys: ["F"], words: "Clicks are foreground", run: ["setLabel", "fg"], control: "button[data-label=fg]" },
    { keys: ["B"], words: "Clicks are background", run: ["setLabel", "bg"], control: "button[data-label=bg]" },
    { keys: ["Enter"], words: "Click at the crosshair", run: ["clickCross", false], inView: true },
    { keys: ["Ctrl+Enter"], words: "… with the other label", run: ["clickCross", true], inView: true },
    { keys: ["Delete"], words: "Delete the click under the pointer", run: ["deleteHovered"] },
    { keys: ["Q"], words: "Collect clicks, or answer each at once", run: ["toggleCollecting"], control: "[data-role=collect]" },
    { keys: ["U"], words: "Answer the collected clicks (or Enter on the last)", run: ["sendCollected"], control: "[data-role=send-clicks]" },
    { keys: ["Ctrl+Z"], words: "Undo", run: ["act", { do: "undo" }], control: "[data-role=undo]" },
    { keys: ["Ctrl+Shift+Z", "Ctrl+Y"], words: "Redo", run: ["act", { do: "redo" }], control: "[data-role=redo]" },
    { keys: ["X"], words: "Start over without clicks", run: ["act", { do: "reset" }], control: "[data-role=reset]" },
  ] },
  { group: "Brush and objects", rows: [
    { keys: ["P"], words: "Paint, and back to clicks", run: ["setTool", "paint"], control: "button[data-tool=paint]" },
    { keys: ["E"], words: "Erase, and back to clicks", run: ["setTool", "erase"], control: "button[data-tool=erase]" },
    { keys: [",", "."], words: "Brush smaller, larger", run: ["stepBrush"], control: "[data-role=brush]" },
    { keys: ["N"], words: "New object", run: ["newObject"], control: "[data-role=new-object]" },
    { keys: ["A"], words: "Accept the object and start the next", run: ["acceptObject"], control: "[data-role=accept]" },
  ] },
  { group: "Mask", rows: [
    { keys: ["M"], words: "Mask on and off", run: ["toggle", "mask"], control: "[data-role=mask]" },
    { keys: ["H"], words: "Hold to see the bare scan", held: ["bare", "covered"] },
    { keys: ["O"], words: "Fill, contour or both", run: ["nextStyle"], control: "[data-style]" },
    { keys: ["[", "]"], words: "Fill weaker, stronger", run: ["stepOpacity"], control: "[data-role=opacity]" },
  ] },
  { group: "Look", rows: [
    { keys: ["1", "2", "3", "4"], words: "One view alone, and back", run: ["enlargeNumber"],
      control: ["axial", "coronal", "sagittal", "surface"].map((plane) => "[data-enlarge=" + plane + "]") },
    { keys: ["L"], words: "Next layout", run: ["nextLayout"], control: "button[data-layout]" },
    { keys: ["W", "Shift+W"], words: "Next, previous window", run: ["stepWindow"], control: "[data-role=window]" },
    { keys: ["Shift+ArrowLeft", "Shift+ArrowRight"], words: "Window narrower, wider", run: ["nudgeWindow"], inView: true },
    { keys: ["Shift+ArrowUp", "Shift+ArrowDown"], words: "Brighter, darker", run: ["nudgeWindow"], inView: true },
    { keys: ["+", "-"], words: "Zoom in, out", run: ["stepZoom"] },
    { keys: ["Ctrl+ArrowLeft", "Ctrl+ArrowRight", "Ctrl+ArrowUp", "Ctrl+ArrowDown"], words: "Pan",
      run: ["nudgeCamera"], inView: true },
    { keys: ["0"], words: "Reset zoom and position", run: ["refit"], control: "[data-role=refit]" },
    { keys: ["C"], words: "Crosshair on and off", run: ["toggle", "cross"], control: "[data-role=cross]" },
    { keys: ["I"], words: "Smooth or exact voxels", run: ["toggle", "smooth"], control: "[data-role=smooth]" },
    { keys: ["D"], words: "Dark or light page", run: ["toggleTheme"], control: "[data-role=theme]" },
  ] },
  { group: "Maps", rows: [
    { keys: ["V"], words: "Affinity to the last click", run: ["toggleMap", "affinity"], control: "[data-role=map-affinity]" },
    { keys: ["R"], words: "Foreground probability", run: ["toggleMap", "probability"], control: "[data-role=map-probability]" },
    { keys: ["T"], words: "Outline uncertain regions", run: ["toggleUncertain"], control: "[data-role=map-uncertain]" },
    { keys: ["G"], words: "Go to the most uncertain slice", run: ["goToUncertain"], control: "[data-role=go-uncertain]" },
  ] },
  { group: "Move", rows: [
    { keys: ["PageUp", "PageDown"], words: "Next, previous slice", run: ["stepActive"] },
    { keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], run: ["nudge"], inView: true,
      words: "Move the crosshair; turn the 3-D surface" },
  ] },
  { group: "File", rows: [
    { keys: ["Ctrl+O"], words: "Open a scan", run: ["chooseFile"], control: "[data-role=open]" },
    { keys: ["Ctrl+S"], words: "Download the mask", run: ["save"], control: "[data-role=save]" },
    { keys: ["J", "K"], words: "Previous, next scan of the worklist", run: ["stepScan"],
      control: ["[data-role=previous-scan]", "[data-role=next-scan]"] },
    { keys: ["Y"], words: "Mark the scan as done", run: ["markDone"] },
    { keys: ["?"], words: "This sheet", run: ["help"], control: "[data-role=help]" },
    { keys: ["Escape"], words: "Dismiss a message", run: ["dismiss"], control: "[data-role=refusal-close]" },
  ] },
];

const MOUSE = [
  ["Click", "Add a click with the chosen label"],
  ["Ctrl + click", "Add a click with the other label"],
  ["Double click", "This view alone, and back"],
  ["Drag", "Move the crosshair, or the click under the pointer"],
  ["Shift + move", "Crosshair follows the pointer"],
  ["Wheel", "Slices"],
  ["Ctrl + wheel, pinch", "Zoom at the pointer"],
  ["Middle drag, Space + drag", "Pan"],
  ["Right drag", "Window (sideways) and level (up and down)"],
];

const TOUCH = [
  ["Tap", "Add a click with the chosen label"],
  ["Double tap", "This view alone, and back"],
  ["Drag up, down", "Slices"],
  ["Hold, then drag", "Move the crosshair, or the click under the finger"],
  ["Drag with the brush", "Paint or erase"],
  ["Pinch", "Zoom"],
  ["Drag with two fingers", "Pan"],
  ["Drag with three fingers", "Window (sideways) and level (up and down)"],
];

const KEY_FACES = {
  Escape: "Esc", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓",
  PageUp: "Page ↑", PageDown: "Page ↓", "-": "−",
};

// "Ctrl+Shift+Z" → ["Ctrl", "Shift", "Z"]; the plus itself is a key too.
function partsOf(key) {
  return key === "+" ? ["+"] : key.split("+");
}

function faceOf(key) {
  return partsOf(key).map((part) => KEY_FACES[part] ?? part).join(" + ");
}

// Tooltips name the keys of their controls, buttons with an empty <kbd> show the first, and
// assistive technology is told as well.
function labelControls(element) {
  for (const { keys, control } of SHORTCUTS.flatMap(({ rows }) => rows)) {
    const perKey = Array.isArray(control) ? keys.map((key, place) => [[key], control[place]]) : [[keys, control]];
    for (const [itsKeys, selector] of perKey) {
      if (!selector) continue;
      for (const found of element.querySelectorAll(selector)) {
        // Kept apart for titles that change.
        found.dataset.keys = " (" + itsKeys.map(faceOf).join(", ") + ")";
        found.title += found.dataset.keys;
        found.setAttribute("aria-keyshortcuts", itsKeys.join(" ").replaceAll("Ctrl", "Control"));
        const face = found.querySelector("kbd:empty");
        if (face) face.textContent = faceOf(itsKeys[0]);
      }
    }
  }
}

function fillHelpSheet(sheet) {
  const faces = (keys) => keys.map((key) => "<kbd>" + faceOf(key) + "</kbd>").join(" ");
  const section = (name, rows) =>
    "<section><h3>" + name + "</h3><dl>" +
    rows.map(([left, right]) => "<div><dt>" + left + "</dt><dd>" + right + "</dd></div>").join("") +
    "</dl></section>";
  sheet.innerHTML =
    '<form method="dialog"><h2>Keyboard, mouse and touch</h2>' +
    '<button class="cs-button cs-icon" title="Close (Esc)" aria-label="Close">×</button></form>' +
    '<div class="cs-help-columns">' +
    section("Mouse, on a view", MOUSE) +
    section("Touch, on a view", TOUCH) +
    SHORTCUTS.map(({ group, rows }) =>
      section(group, rows.map(({ keys, words }) => [faces(keys), words]))).join("") +
    "</div>";
}
