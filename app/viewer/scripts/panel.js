// The words and numbers around the views.

const CONNECTION_SENTENCES = {
  there: "",
  gone: "The server does not answer; your steps are kept, and this page goes on when it does.",
  login: "The server wants you to log in again: do that in a new tab, and this page goes on.",
};

// What to do with an object that has no clicks yet.
const HINTS = {
  empty: "Click inside what you want to outline.",
  begun: "Foreground where the mask misses, background where it spills.",
};

class Panel {
  // find(role): the element of that role. commands: see viewer.js.
  constructor(find, commands) {
    this.find = find;
    // Which files of a worklist were passed over, and why.
    this.passedOver = "";
    this.clicks = new ClickList(find, commands);
    this.objects = new ObjectList(find, commands);
  }

  say(role, text) {
    this.find(role).textContent = text;
  }

  showScan({ name, shape, spacing, windows }) {
    const size = shape.join(" × ");
    const steps = spacing.map((mm) => Number(mm.toFixed(2))).join(" × ");
    const heading = this.find("scan-name");
    heading.replaceChildren(node("strong", name), node("span", size + "  ·  " + steps + " mm"));
    heading.title = name + ", " + size + " voxels of " + steps + " mm";
    this.find("window").replaceChildren(...windows.map((window) => new Option(window.name)));
    // Those of this scan come with its first mask, all at once; see parts.js.
    Object.assign(this.find("notices-card"), { hidden: true, open: false });
    for (const figure of ["volume", "components"]) this.say(figure, "–");
    for (const button of ["undo", "redo", "reset", "save"]) this.find(button).disabled = true;
  }

  showWindow(window) {
    const select = this.find("window");
    const names = [...select.options].map((option) => option.value);
    if (!names.includes(window.name)) select.add(new Option(window.name));
    select.value = window.name;
    const grey = (value) => Number(value.toPrecision(4));
    const levels = "Grey levels " + grey(window.low) + " to " + grey(window.high);
    select.title = levels + select.dataset.keys;
  }

  showAnswer(answer) {
    this.say("volume", inMillilitres(answer.millilitres));
    this.find("undo").disabled = !answer.undo;
    this.find("redo").disabled = !answer.redo;
    const active = answer.objects.find(({ id }) => id === answer.active);
    this.find("reset").disabled = !active.changed;
    this.find("accept").disabled = active.millilitres === 0;
    this.say("no-clicks", active.millilitres === 0 ? HINTS.empty : HINTS.begun);
    this.find("save").disabled = false;
    this.find("model").value = answer.model;
  }

  showStatus(dialogue) {
    this.say("status", dialogue ? statusOf(dialogue) : "");
  }

  showPointer(volume, voxel) {
    this.say("intensity", greyOf(volume, voxel));
    this.say("voxel", voxel.join(", "));
    this.say("world", worldInWords(voxelToWorld(volume, voxel)));
  }

  // Says where the crosshair has come to, for those who do not see it.
  speak({ volume, cross, active }) {
    const slice = VIEW_NAMES[active.plane] + " slice " + active.slice;
    this.say("spoken", slice + ", voxel " + cross.join(", ") + ", intensity " + greyOf(volume, cross));
  }

  // cancellable: whether commands.cancel can end it.
  showWork(stage, fraction, cancellable = false) {
    this.find("work").hidden = stage === null;
    if (stage === null) return;
    this.say("work-text", stage + "…");
    this.find("cancel").hidden = !cancellable;
    const progress = this.find("work-progress");
    progress.hidden = !Number.isFinite(fraction);
    progress.value = fraction ?? 0;
  }

  // state: see connection.js.
  showConnection(state) {
    this.say("away-text", CONNECTION_SENTENCES[state]);
    this.find("away").hidden = state === "there";
    this.find("root").dataset.connection = state;
  }

  showRefusal(sentence) {
    const shown = sentence || this.passedOver;
    this.say("refusal-text", shown);
    this.find("refusal").hidden = shown === "";
  }

  // Stays while the next scan is opened and worked on.
  showPassedOver(sentence) {
    this.passedOver = sentence;
    this.showRefusal("");
  }
}

function greyOf(volume, voxel) {
  return Number(volume.intensity(voxel).toPrecision(5));
}

function statusOf({ answered, pending }) {
  if (!answered) return "";
  if (pending.length > 0) return "answering…";
  const seconds = answered.seconds < 10 ? answered.seconds.toFixed(2) : answered.seconds.toFixed(0);
  const count = answered.clicks.length;
  if (answered.seq === 1 && count === 0) {
    const empty = answered.objects.every(({ millilitres }) => millilitres === 0);
    return (empty ? "no mask yet" : "first mask") + " · ready in " + seconds + " s";
  }
  return count + (count === 1 ? " click" : " clicks") + " · answered in " + seconds + " s";
}

function node(tag, text = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
