// What stands beside the views and follows them: measurements, maps, sessions, the worklist.

// find, stage, redraw, panel, commands: see viewer.js. send(event, changes) as there. request(what):
// asks the server to open something; lastRequest(): what was asked for last. openScan(item):
// uploads and opens { file, beside } with what else the item says. answered(): whether there is a
// mask; isShown(): whether no scan waits for one. gate: see gate.js. cards: of the checkpoints.
function attachParts({
  find, stage, redraw, panel, commands, send, gate, request, lastRequest, openScan, answered, isShown,
  cards,
}) {
  const goTo = (voxel) => commands.goTo(voxel);
  const settings = () => ({
    window: stage.window.name,
    window_low: stage.window.low,
    window_high: stage.window.high,
    opacity: stage.opacity,
    mask_style: stage.maskStyle,
  });
  const measurements = new Measurements(find, goTo);
  const maps = new Maps({ find, stage, redraw, goTo, ask: (kind) => send("chart", { map: kind }) });
  const keeper = new SessionKeeper({
    find,
    settings,
    resume: (session) => request({ kind: "session", session }),
    apply: (saved) => applySettings(saved, find, commands),
    say: (sentence) => panel.showRefusal(sentence),
  });
  const worklist = new Worklist({
    find,
    open: openScan,
    ready: async () => isShown() && gate.passed(),
    say: (sentence) => panel.showPassedOver(sentence),
  });

  fillModelMenu(find("model"), cards);
  fillModelSheet(find("model-sheet"), cards);
  Object.assign(commands, {
    toggleMap: (kind) => maps.toggle(kind),
    toggleUncertain: () => maps.toggleUncertain(),
    goToUncertain: () => maps.goToUncertain(),
    stepScan: (key) => worklist.step(key === "K" ? 1 : -1),
    markDone: () => worklist.toggleDone(),
    async saveFile(kind) {
      if (answered() && (await gate.passed())) send("save", { layout: kind, settings: settings() });
    },
    showModels: () => find("model-sheet").showModal(),
  });

  return {
    openFiles(files) {
      const { session, scans } = sortArrivals([...files]);
      if (session) keeper.open(session);
      if (scans.length > 1 || (scans.length === 1 && worklist.busy)) worklist.add(scans);
      else if (scans.length === 1) openScan(scans[0]);
    },
    scanShown() {
      for (const part of [measurements, maps, keeper]) part.scanShown();
    },
    asked(pending) {
      // The first answer is there, but not yet on screen.
      if (!keeper.session) return;
      keeper.asked(pending);
      worklist.keep(keeper.documentWith(pending));
    },
    sessionWith: (pending) => keeper.documentWith(pending),
    answered(answer) {
      for (const part of [maps, keeper, worklist]) part.answered(answer);
      showNotices(find, stage.volume.description.notices, answer.warnings);
    },
    detailed: (details, active) => measurements.detailed(details, active),
    // sentence: why; empty when the person did not want it any more.
    refused(sentence) {
      maps.refused();
      worklist.refused(sentence);
    },
    goOn: () => worklist.goOn(),
    mapArrived: (map) => maps.arrived(map),
    choiceArrived(choice) {
      const asked = lastRequest();
      const take = ({ series, volume }) => {
        worklist.chose({ series, volume });
        request({ ...asked, series, volume });
      };
      askWhich(find("choice"), choice, take, () => worklist.refused(""));
    },
    leftWorklist: () => worklist.left(),
  };
}

function applySettings(saved, find, commands) {
  const { window, window_low: low, window_high: high, opacity, mask_style: style } = saved;
  if (Number.isFinite(low) && Number.isFinite(high)) commands.setWindow({ name: String(window), low, high });
  if (MASK_STYLES.includes(style)) commands.setStyle(style);
  if (!Number.isFinite(opacity)) return;
  find("opacity").value = opacity * 100;
  commands.setOpacity(find("opacity").valueAsNumber);
}

// Reservations about the scan, and what speaks against the checkpoint in use.
function showNotices(find, notices, warnings) {
  const rows = warnings.map((warning) => Object.assign(node("li", warning), { className: "cs-warning" }));
  find("notices").replaceChildren(...rows, ...notices.map((notice) => node("li", notice)));
  const [first, ...others] = [...warnings, ...notices];
  find("notices-card").hidden = !first;
  find("notices-teaser").textContent = others.length > 0 ? "(" + (others.length + 1) + ") " + first : first;
}
