// The viewer as a whole: what is on screen, what the person can do, what the server says.

const find = (role) => element.querySelector("[data-role=" + role + "]");
const root = find("root");

// What all views share. `volume` is none until the first scan is shown.
const stage = {
  volume: null,
  // What lies over the scan, see layers.js.
  layers: [],
  // The number of the answer on screen.
  maskVersion: 0,
  cross: [0, 0, 0],
  window: null,
  greys: null,
  clicks: [],
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

let dialogue = null;
// The scan and dialogue that come back if the one being opened fails.
let fallback = null;
let label = "fg";
let uploading = false;

const views = [...element.querySelectorAll(".cs-view:not(.cs-surface)")].map(
  (section) => new SliceView(section, stage),
);
stage.active = views[0];

function send(event, changes) {
  props.value = { ...props.value, model: find("model").value, ...changes };
  trigger(event);
}

// Everything that buttons, keys and the pointer can ask for.
const commands = {
  click(voxel, otherLabel) {
    commands.moveCross(voxel);
    if (!dialogue?.answered) return;
    const other = label === "fg" ? "bg" : "fg";
    commands.act({ do: "click", voxel, label: otherLabel ? other : label });
  },
  clickCross(otherLabel) {
    if (stage.volume) commands.click(stage.cross, otherLabel);
  },
  act(action) {
    if (!dialogue?.answered) return;
    dialogue.act(action);
    showDialogue();
  },
  // Of the click that was made a moment ago.
  takeBackClick() {
    commands.act({ do: "undo" });
  },
  deleteClick(index) {
    commands.act({ do: "delete", index });
  },
  setLabel(chosen) {
    label = chosen;
    pressOne(element.querySelectorAll("button[data-label]"), "label", chosen);
    root.dataset.label = chosen;
  },
  moveCross(voxel) {
    stage.cross = voxel;
    root.dataset.pos = voxel.join(",");
    for (const view of views) view.showSlice();
  },
  setSlice(view, index) {
    if (!stage.volume || !Number.isFinite(index)) return;
    const moved = stage.cross.with(PLANES[view.plane].normal, Math.round(index));
    commands.moveCross(clampVoxel(stage.volume, moved));
  },
  goTo(voxel) {
    commands.moveCross(clampVoxel(stage.volume, voxel));
  },
  stepSlice(view, steps) {
    const { normal } = PLANES[view.plane];
    const moved = stage.cross.with(normal, stage.cross[normal] + steps);
    commands.moveCross(clampVoxel(stage.volume, moved));
  },
  stepActive(key) {
    if (stage.volume) commands.stepSlice(stage.active, key === "PageUp" ? 1 : -1);
  },
  nudge(key) {
    if (!stage.volume) return;
    const right = { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0;
    const below = { ArrowUp: -1, ArrowDown: 1 }[key] ?? 0;
    const { plane } = stage.active;
    commands.moveCross(voxelBeside(plane, stage.volume, stage.cross, right, below));
  },
  activate(view) {
    stage.active = view;
  },
  hover(view, voxel) {
    commands.activate(view);
    panel.showPointer(stage.volume, voxel);
  },
  chooseFile() {
    find("file").click();
  },
  openDemo() {
    send("open", { request: { kind: "demo" } });
  },
  switchModel() {
    if (dialogue?.answered) send("open", { request: { kind: "model" } });
  },
  save() {
    if (dialogue?.answered) send("save", {});
  },
  dismiss() {
    panel.showRefusal("");
  },
  help() {
    find("help-sheet").showModal();
  },
  spaceHeld: () => false,
  // Whether one finger draws instead of moving through the slices.
  drawsByTouch: () => false,
};

const objects = new ObjectLayers(stage);
const panel = new Panel(find, commands);
const surface = new SurfaceView(find);
Object.assign(commands, lookingCommands({ element, find, stage, views, redraw, panel }));
commands.tap = tapCommand(commands);
commands.toggleTheme = attachTheme(find("theme"));

function redraw() {
  for (const view of views) view.redraw();
}

function showDialogue() {
  stage.clicks = dialogue.clicks;
  panel.showClicks(stage.clicks);
  panel.showStatus(dialogue);
  redraw();
}

async function openFile(file) {
  if (uploading) return;
  panel.showRefusal("");
  if (file.size > props.upload_mb * 2 ** 20) {
    panel.showRefusal(
      file.name + " is larger than the " + props.upload_mb + " MB that this server accepts; " +
      "crop it, or compress it to .nii.gz.",
    );
    return;
  }
  uploading = true;
  panel.showWork("Uploading " + file.name, null);
  try {
    const { path } = await upload(file);
    send("open", { request: { kind: "upload", file: { path } } });
  } catch {
    panel.showWork(null);
    panel.showRefusal("The upload of " + file.name + " failed; see whether the server still runs.");
  } finally {
    uploading = false;
  }
}

function putOnStage(volume, itsDialogue) {
  stage.volume = volume;
  stage.layers = [];
  objects.start(volume);
  stage.maskVersion += 1;
  dialogue = itsDialogue;
  for (const name of ["seq", "applied", "clicks", "details"]) delete root.dataset[name];
  root.dataset.scan = volume.description.id;
  surface.hide();
  find("welcome").hidden = true;
  root.classList.add("cs-has-scan");
  panel.showScan(volume.description);
  commands.setWindow(volume.description.windows[0]);
  commands.refit();
  commands.moveCross(volume.middle());
  showDialogue();
}

function clearStage() {
  stage.volume = null;
  dialogue = null;
  find("welcome").hidden = false;
  root.classList.remove("cs-has-scan");
  panel.say("scan-name", "");
  redraw();
}

// A scan arrives before its first mask, to be looked at while it is encoded.
async function showPreview(description) {
  root.dataset.ready = false;
  let volume;
  try {
    volume = await Volume.load(description);
  } catch {
    panel.showRefusal("The scan did not reach this page; see whether the server still runs.");
    return;
  }
  const overtaken = props.server_scan.id !== description.id || root.dataset.state === "refused";
  if (overtaken) return;
  if (dialogue?.answered) fallback = { volume: stage.volume, dialogue };
  putOnStage(volume, new Dialogue(description.id, send));
  // The answer may have come first.
  if (props.server_answer) await showAnswer(props.server_answer);
}

async function showAnswer(answer) {
  if (!dialogue || !dialogue.accept(answer)) return;
  fallback = null;
  const shown = await objects.set(answer.objects, () => dialogue?.answered !== answer);
  if (!shown) return;
  const { mask } = objects.of(answer.active);
  stage.maskVersion = answer.seq;
  panel.showAnswer(answer);
  showDialogue();
  if (answer.seq === 1) commands.moveCross(mask.middle() ?? stage.volume.middle());
  for (const view of views) view.draw();
  Object.assign(root.dataset, {
    seq: answer.seq,
    applied: answer.applied,
    clicks: answer.clicks.length,
    ready: true,
  });
  trigger("measure");
}

function showWork(work) {
  root.dataset.state = work.state;
  const busy = work.state === "busy";
  panel.showWork(busy ? work.stage : null, work.fraction);
  panel.showRefusal(work.state === "refused" ? work.sentence : "");
  if (work.state !== "refused" || !dialogue) return;
  if (dialogue.answered) find("model").value = dialogue.answered.model;
  else goBack();
}

// What was being opened has failed: the scan from before comes back with its mask and clicks.
async function goBack() {
  if (!fallback) {
    clearStage();
    return;
  }
  const { volume, dialogue: before } = fallback;
  fallback = null;
  const { answered } = before;
  before.answered = null;
  putOnStage(volume, before);
  await showAnswer(answered);
}

async function showDetails(details) {
  if (details.scan !== dialogue?.scanId || details.seq !== dialogue.answered?.seq) return;
  panel.say("components", details.components);
  await surface.show(details.surface, details.scan, details.plotly.url);
  root.dataset.details = details.seq;
}

commands.setLabel("fg");
find("model").replaceChildren(...props.models.map((name) => new Option(name)));
find("model-field").hidden = props.models.length < 2;
fillHelpSheet(find("help-sheet"));
labelControls(element);
attachTabs(element);
attachControls(element, views, commands);
attachFiles(find, openFile);
commands.spaceHeld = attachKeyboard(commands);

// The keys are not in quotation marks for a reason: see script() in app/viewer/__init__.py.
for (const [property, show] of Object.entries({
  server_scan: showPreview,
  server_answer: showAnswer,
  server_work: showWork,
  server_details: showDetails,
  server_download: offerDownload,
})) {
  watch(property, () => show(props[property]));
}
root.dataset.live = true;
