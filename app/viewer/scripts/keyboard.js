// Runs the commands of shortcuts.js when their keys are pressed.

const CONTROLS = "button, input, select, textarea";

// Returns a function that says whether the space bar is held.
function attachKeyboard(commands) {
  const table = new Map();
  for (const { rows } of SHORTCUTS) {
    for (const row of rows) for (const key of row.keys) table.set(key, { ...row, key });
  }
  let space = false;
  // The row of a key that is held, until it is let go.
  let holding = null;

  const release = () => {
    if (holding) commands[holding.held[1]]();
    holding = null;
    space = false;
  };

  document.addEventListener("keydown", (event) => {
    const overView = Boolean(event.target.closest?.(".cs-view:not(.cs-surface)"));
    if (event.key === " " && meansPan(event.target)) {
      space = true;
      event.preventDefault();
    }
    const row = table.get(chord(event));
    if (!row || takesKey(event.target, event) || (row.inView && !overView)) return;
    event.preventDefault();
    if (row.held) {
      if (holding) return;
      holding = row;
      commands[row.held[0]]();
      return;
    }
    const [command, ...given] = row.run;
    commands[command](...given, row.key);
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === " " && space) {
      space = false;
      // In some browsers it is now that a button counts as pressed.
      event.preventDefault();
    }
    if (holding && event.key.toUpperCase() === holding.key) release();
  });
  // A key that is let go in another window is not heard of here.
  window.addEventListener("blur", release);
  return () => space;
}

function chord(event) {
  const letter = event.key.length === 1 && /[a-z]/i.test(event.key);
  const key = letter ? event.key.toUpperCase() : event.key;
  const control = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  // Signs such as "?" already say that Shift is held, on whatever keyboard.
  return control + (event.shiftKey && (letter || key.startsWith("Arrow")) ? "Shift+" : "") + key;
}

// Whether Space pans: over a view always, wherever the focus is, unless that is in a text.
function meansPan(target) {
  if (target.closest?.("dialog[open], textarea, input[type=text]")) return false;
  return document.querySelector(".cs-canvas-box canvas:hover") !== null || !target.closest?.(CONTROLS);
}

// Whether a key means something to the control that has the focus.
function takesKey(target, event) {
  if (target.closest?.("dialog[open]")) return true;
  if (target.matches?.("input[type=range]")) return /^(Arrow|Page|Home|End)/.test(event.key);
  if (target.matches?.("input[type=number]")) return !/^[a-z?[\]]$/i.test(event.key) && !event.ctrlKey;
  if (target.matches?.("input, select, textarea")) return !event.ctrlKey && !event.metaKey;
  return target.matches?.("button") && (event.key === "Enter" || event.key === " ");
}
