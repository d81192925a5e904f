// The session in the browser's own storage, to go on after a reload; and session files.
//
// What is kept: actions, settings of the views, and hashes of scan and checkpoint. No voxel, and
// no file name, which may be a patient's.

const SESSION_KEY = "caiseg.session.";
const SESSIONS_KEPT = 30;

class SessionKeeper {
  // find: as in viewer.js. resume(session): asks the server to do a session again. settings():
  // how the scan is shown now; apply(settings) shows it so again. say(sentence): tells the person.
  constructor({ find, resume, settings, apply, say }) {
    Object.assign(this, { find, resume, settings, apply, say });
    this.session = null;
    this.offered = null;
    // What was kept of the scan before this page kept anything: null for nothing.
    this.earlier = undefined;
    // A session file whose scan is not open yet.
    this.waiting = null;
    find("offer-continue").onclick = () => this.continueOffered();
    find("offer-dismiss").onclick = () => this.offer(null);
    this.showLeftOff();
  }

  scanShown() {
    this.session = null;
    this.earlier = undefined;
    this.offer(null);
  }

  answered(answer) {
    const begun = this.session !== null;
    this.session = answer.session;
    const { sha256 } = answer.session.scan;
    if (answer.session.actions.length > 0) {
      this.offer(null);
    } else if (!begun) {
      const waiting = this.waiting?.scan?.sha256 === sha256 ? this.waiting : null;
      const stored = waiting ?? readStored(sha256)?.session;
      if (waiting) this.take(waiting);
      else if (stored?.actions?.length > 0) this.offer(stored);
    }
  }

  // The document to keep as a file.
  get document() {
    return { ...this.session, settings: this.settings() };
  }

  // The same with what is on its way to the server, which may not live to answer it. A mask to
  // start from was uploaded there, and would be missing.
  documentWith(pending) {
    const { actions, ...rest } = this.document;
    const kept = pending.filter(({ do: what }) => what !== "start");
    return { ...rest, actions: [...actions, ...kept] };
  }

  // pending: what the server has not answered, collected clicks included.
  asked(pending) {
    const session = this.documentWith(pending);
    const key = SESSION_KEY + session.scan.sha256;
    if (session.actions.length > 0) {
      if (this.earlier === undefined) this.earlier = storage.read(key);
      this.store(key, session);
      return;
    }
    // A click was collected and taken back.
    if (this.earlier) storage.write(key, this.earlier);
    else if (this.earlier === null) storage.remove(key);
    this.earlier = undefined;
  }

  store(key, session) {
    const entry = JSON.stringify({ saved: new Date().toISOString(), session });
    const others = storedKeys().filter((other) => other !== key);
    for (const old of others.slice(0, Math.max(0, others.length - SESSIONS_KEPT + 1))) {
      storage.remove(old);
    }
    this.find("autosave").textContent = storage.write(key, entry)
      ? "Kept in this browser: your steps, no image data."
      : "This browser keeps nothing more: save the session as a file.";
  }

  offer(session) {
    this.offered = session;
    this.find("offer").hidden = session === null;
    if (session === null) return;
    this.find("offer-text").textContent =
      "You have worked on this scan before (" + inSteps(session.actions.length) + ").";
  }

  continueOffered() {
    const session = this.offered;
    this.offer(null);
    if (session) this.take(session);
  }

  take(session) {
    this.waiting = null;
    this.apply(session.settings ?? {});
    this.resume(session);
  }

  // A session file that the person chose or dropped.
  async open(file) {
    let session = null;
    try {
      session = JSON.parse(await file.text());
    } catch {
      // Said below.
    }
    if (session?.format !== "caiseg-session") {
      this.say(file.name + " is no session file; choose one that was saved here.");
    } else if (session.scan?.sha256 === this.session?.scan.sha256) {
      this.take(session);
    } else {
      this.waiting = session;
      this.say("Now open the scan that this session belongs to; it goes on where it was.");
    }
  }

  // On the empty page: what to do to go on.
  showLeftOff() {
    const latest = storedKeys().map((key) => readStored(key.slice(SESSION_KEY.length))).at(-1);
    if (!latest?.session?.actions) return;
    const when = new Date(latest.saved).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const note = this.find("left-off");
    note.hidden = false;
    note.textContent =
      "Continue where you left off (" + inSteps(latest.session.actions.length) + ", " + when +
      "): open the same scan.";
  }
}

// Keys of all stored sessions, the oldest first.
function storedKeys() {
  const saved = (key) => readStored(key.slice(SESSION_KEY.length))?.saved ?? "";
  return storage
    .keys()
    .filter((key) => key.startsWith(SESSION_KEY))
    .sort((one, other) => saved(one).localeCompare(saved(other)));
}

function readStored(sha256) {
  try {
    return JSON.parse(storage.read(SESSION_KEY + sha256));
  } catch {
    return null;
  }
}

function inSteps(count) {
  return count === 1 ? "1 step" : count + " steps";
}
