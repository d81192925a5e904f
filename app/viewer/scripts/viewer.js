// The viewer as a whole: what is on screen, what the person can do, what the server says.

const find = (role) => element.querySelector("[data-role=" + role + "]");
const root = find("root");

const stage = newStage();
let dialogue = null;
// The scan and dialogue that come back if the one being opened fails.
let fallback = null;
// Settled once the masks of the newest answer are unpacked and on the stage.
let onStage = null;

const views = [...element.querySelectorAll(".cs-view:not(.cs-surface)")].map(
  (section) => new SliceView(section, stage),
);
stage.active = views[0];

// All that the page has to say, see app/messages.py.
let message = {};

function send(event, changes) {
  const view = stage.volume && stage.cross;
  message = { ...message, model: find("model").value, view, ...changes };
  props.value = JSON.stringify(message);
  trigger(event);
}

// What the server has said last in one of its properties, see app/replies.py; nothing before it has.
function said(property) {
  if (!props[property]) return null;
  const { text, ...files } = props[property];
  return { ...JSON.parse(text), ...files };
}

// Everything that buttons, keys and the pointer can ask for.
const commands = {
  chooseFile() {
    find("file").click();
  },
  async openDemo() {
    if (await opening.ask({ kind: "demo" })) parts.leftWorklist();
  },
  switchModel() {
    if (dialogue?.answered) opening.ask({ kind: "model" });
  },
  save() {
    commands.saveFile("labels");
  },
  cancel: () => opening.cancel(),
  dismiss() {
    panel.showPassedOver("");
  },
  help() {
    find("help-sheet").showModal();
  },
  spaceHeld: () => false,
};

const objects = new ObjectLayers(stage);
const panel = new Panel(find, commands);
const surface = new SurfaceView(find);
const conversation = {
  isReady: () => Boolean(dialogue?.answered),
  active: () => dialogue?.active ?? null,
  pending: () => dialogue?.pending ?? [],
  ask(action) {
    dialogue.act(action);
    showDialogue();
  },
};
const gate = new Gate({
  sendCollected: () => commands.sendCollected(),
  isAnswered: () => !dialogue?.answered || dialogue.pending.length === 0,
});
Object.assign(
  commands,
  movingCommands({
    root, stage, views, panel, pointAt: (...where) => commands.pointAt(...where),
  }),
);
Object.assign(commands, lookingCommands({ element, find, stage, views, surface, redraw, panel }));
Object.assign(
  commands,
  annotatingCommands({
    element, find, stage, objects, conversation, redraw, panel, changed: () => showDialogue(),
    moveCross: (voxel) => commands.moveCross(voxel),
  }),
);
const opening = new Opening({
  send, panel, gate, givenUp, limitMb: props.upload_mb, upload: sendFile, failed: failedUpload,
  model: () => find("model").value,
  refuse: refuseFile,
});
const refuse = (sentence) => showWork({ state: "refused", sentence });
const connection = new Connection({
  changed: (state) => panel.showConnection(state),
  interrupted: () => recovery.interrupted(),
  refuse,
});
const recovery = recoveryOf({
  opening, connection, refuse,
  dialogue: () => dialogue,
  sessionWith: (pending) => parts.sessionWith(pending),
});
const parts = attachParts({
  find, stage, redraw, panel, commands, send, gate,
  openScan: (item) => opening.open(item),
  request: (request) => opening.ask(request),
  lastRequest: () => message.request,
  answered: () => Boolean(dialogue?.answered),
  isShown: () => !dialogue || dialogue.answered !== null,
  cards: JSON.parse(props.models),
});
Object.assign(commands, tapCommands(stage, commands));
commands.toggleTheme = attachTheme(find("theme"));
const showGrowing = growingMask({
  root, objects, redraw, isAwaited: (scan) => dialogue?.scanId === scan && !dialogue.answered,
});

function redraw() {
  for (const view of views) view.redraw();
}

// Shows clicks and objects as they are now, and keeps in this browser what led to them.
function showDialogue() {
  if (dialogue.answered) parts.asked([...dialogue.pending, ...roundOf(stage.collected)]);
  const collected = stage.collected.map((click) => ({ ...click, collected: true }));
  stage.clicks = [...dialogue.clicks, ...collected];
  panel.clicks.show(stage.clicks);
  panel.objects.show(objects.all, dialogue.active);
  panel.showStatus(dialogue);
  redraw();
}

function putOnStage(volume, itsDialogue) {
  stage.volume = volume;
  stage.layers = [];
  stage.collected = [];
  commands.hoverClick(-1);
  objects.start(volume);
  stage.maskVersion += 1;
  dialogue = itsDialogue;
  for (const name of ["seq", "applied", "arrived", "clicks", "details"]) delete root.dataset[name];
  Object.assign(root.dataset, { scan: volume.description.id, ready: false });
  surface.hide();
  find("welcome").hidden = true;
  root.classList.add("cs-has-scan");
  panel.showScan(volume.description);
  commands.setWindow(volume.description.windows[0]);
  commands.refit();
  commands.forgetPointer();
  commands.moveCross(volume.middle());
  parts.scanShown();
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
  if (opening.isReturn && dialogue?.isMoving) {
    follow(description.id);
    return;
  }
  // Then the server has deleted what the page fetches, and has said why.
  const isOvertaken = () => said("server_scan").id !== description.id || hasFailed(root.dataset);
  let volume;
  try {
    volume = await Volume.load(description);
  } catch {
    if (isOvertaken()) return;
    panel.showRefusal("The scan did not reach this page; see whether the server still runs.");
    return;
  }
  if (isOvertaken()) return;
  if (dialogue?.answered) fallback = { volume: stage.volume, dialogue, collected: stage.collected };
  putOnStage(volume, new Dialogue(description.id, opening.source, send));
  // What is known of its mask may have come first.
  const [growing, answer] = [said("server_growing"), said("server_answer")];
  if (growing) await showGrowing(growing);
  if (answer) await showAnswer(answer);
}

// The scan on screen is open on the server again, under another id.
function follow(id) {
  dialogue.scanId = id;
  stage.volume.description = { ...stage.volume.description, id };
  surface.scanId = id;
  root.dataset.scan = id;
}

async function showAnswer(answer) {
  const isFirst = !dialogue?.answered;
  if (!dialogue || !dialogue.accept(answer)) return;
  recovery.answered();
  root.dataset.arrived = answer.seq;
  fallback = null;
  onStage = objects.set(answer.objects, () => dialogue?.answered !== answer);
  if (!(await onStage)) return;
  objects.settle(answer.active, stage.stroke ? [...dialogue.pending, stage.stroke] : dialogue.pending);
  const { mask } = objects.of(answer.active);
  stage.maskVersion = answer.seq;
  panel.showAnswer(answer);
  parts.answered(answer);
  showDialogue();
  if (answer.seq === 1 && isFirst) commands.moveCross(mask.middle() ?? stage.volume.middle());
  for (const view of views) view.draw();
  Object.assign(root.dataset, {
    seq: answer.seq,
    applied: answer.applied,
    clicks: answer.clicks.length,
    ready: true,
  });
  gate.answered();
  afterPainting(() => trigger("measure"));
}

// Once what has changed is on screen; at once where nobody looks.
function afterPainting(act) {
  if (document.hidden) act();
  else requestAnimationFrame(() => setTimeout(act));
}

async function showWork(work) {
  root.dataset.state = work.state;
  if (work.lost && recovery.lost()) return;
  const busy = work.state === "busy";
  panel.showWork(busy ? work.stage : null, work.fraction, opening.isCancellable(busy));
  panel.showRefusal(work.state === "refused" ? work.sentence : "");
  if (!hasFailed(work)) return;
  givenUp(work.sentence);
  if (dialogue?.answered) find("model").value = dialogue.answered.model;
  else if (dialogue) await goBack();
  parts.goOn();
}

// sentence: why what was asked for is not done, unless the person wanted that.
function givenUp(sentence = "") {
  parts.refused(sentence);
  gate.refused();
  dialogue?.stay();
}

async function sendFile(file) {
  const stored = await upload(file);
  if (connection.uploadFailed) throw new Error(failedUpload(file));
  return stored;
}

function failedUpload(file) {
  return (
    connection.uploadRefusal ||
    "The upload of " + file.name + " failed; see whether the server still runs."
  );
}

function refuseFile(sentence) {
  panel.showWork(null);
  panel.showRefusal(sentence);
  givenUp(sentence);
  parts.goOn();
}

function hasFailed({ state }) {
  return state === "refused" || state === "cancelled";
}

// What was being opened has failed: the scan from before comes back with its mask and clicks.
async function goBack() {
  if (!fallback) {
    clearStage();
    return;
  }
  const { volume, dialogue: before, collected } = fallback;
  fallback = null;
  const { answered } = before;
  before.answered = null;
  putOnStage(volume, before);
  stage.collected = collected;
  await showAnswer(answered);
}

async function showDetails(details) {
  const isCurrent = () =>
    details.scan === dialogue?.scanId && details.seq === dialogue.answered?.seq;
  if (!isCurrent()) return;
  // Measured for the answer before, they are of this one if it came meanwhile, and may overtake it.
  await onStage;
  if (!isCurrent()) return;
  objects.measured(details.objects);
  panel.objects.measured(objects.all);
  parts.detailed(details, dialogue.answered.active);
  const { colour } = objects.of(dialogue.answered.active);
  await surface.show(details.surface, colour, details.scan, details.plotly.url);
  // An empty surface is shown sooner than the one before it.
  if (isCurrent()) root.dataset.details = details.seq;
}

commands.setLabel("fg");
attachMaskUpload({
  find, act: commands.act, upload: sendFile, failed: failedUpload,
  refuse: (sentence) => panel.showRefusal(sentence),
});
fillHelpSheet(find("help-sheet"));
labelControls(element);
attachTabs(element);
attachControls(element, views, commands);
attachFiles(find, (files) => parts.openFiles(files));
commands.spaceHeld = attachKeyboard(commands);

for (const [property, show] of Object.entries({
  server_scan: showPreview,
  server_answer: showAnswer,
  server_work: showWork,
  server_growing: showGrowing,
  server_details: showDetails,
  server_download: offerDownload,
  server_map: (map) => parts.mapArrived(map),
  server_choice: (choice) => parts.choiceArrived(choice),
})) {
  watch(property, () => show(said(property)));
}
root.dataset.live = true;
