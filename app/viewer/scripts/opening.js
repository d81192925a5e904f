// What the person asked to open: on its way to the server, and then worked on there.

class Opening {
  // upload(file): takes a file to the server. limitMb: how large it may be. gate: see gate.js.
  // model(): the checkpoint that is chosen. send, panel: see viewer.js. refuse(sentence): tells the
  // person why a file cannot be opened. failed(file): why an upload did not arrive. givenUp(): called
  // when it is not wanted any more.
  constructor({ upload, limitMb, gate, model, send, panel, refuse, failed, givenUp }) {
    Object.assign(this, { upload, limitMb, gate, model, send, panel, refuse, failed, givenUp });
    this.file = null;
    this.isAsked = false;
    // What was asked for last, and with which checkpoint.
    this.request = null;
    this.chosen = null;
    // Whether the scan is asked for that is on screen, because the server has forgotten it.
    this.isReturn = false;
    // What was opened last: { file, beside, series, volume }, or { demo: true }.
    this.source = null;
    // Numbers the requests, so that one can be taken back; see app/cancellation.py.
    this.ticket = 0;
  }

  // Resolves to whether it is on its way.
  async ask(request, source = this.source) {
    // The menu goes back to the checkpoint of each answer.
    const chosen = this.model();
    if (!(await this.gate.passed())) return false;
    this.put(request, { source, chosen });
    return true;
  }

  put(request, { source = this.source, chosen = this.model(), isReturn = false } = {}) {
    const { kind, series, volume } = request;
    if (kind === "demo") this.source = { demo: true };
    else if (kind === "upload") this.source = { ...source, series, volume };
    // Other requests are about the scan that is open by then.
    if (kind === "demo" || kind === "upload") this.isReturn = isReturn;
    Object.assign(this, { request, chosen, isAsked: true });
    this.ticket += 1;
    this.send("open", { request, ticket: this.ticket, model: chosen });
  }

  // file: a scan. beside: the voxels of a .mhd header. series, volume: which of several. session:
  // to go on from. isReturn: whether the scan is on screen.
  async open({ file, beside, series = null, volume = null, session = null, isReturn = false }) {
    if (!isReturn && !(await this.gate.passed())) return;
    if (this.file) return;
    this.panel.showRefusal("");
    if (Math.max(file.size, beside?.size ?? 0) > this.limitMb * 2 ** 20) {
      this.refuse(
        file.name + " is larger than the " + this.limitMb + " MB that this server accepts; " +
        "crop it, or compress it to .nii.gz.",
      );
      return;
    }
    const uploaded = await this.take(file, beside);
    if (!uploaded) return;
    const request = { kind: "upload", ...uploaded, series, volume, session };
    const source = { file, beside };
    if (isReturn) this.put(request, { source, isReturn });
    // During the upload the person may have gone on with the scan on screen.
    else if (!(await this.ask(request, source))) this.panel.showWork(null);
  }

  // Resolves to where the files are on the server; null when the person does not want that any more,
  // or it failed.
  async take(file, beside) {
    this.file = file;
    this.panel.showWork("Uploading " + file.name, null, true);
    try {
      const { path } = await this.upload(file);
      const voxels = beside ? { path: (await this.upload(beside)).path, name: beside.name } : null;
      return this.file === file ? { file: { path }, beside: voxels } : null;
    } catch {
      if (this.file === file) this.refuse(this.failed(file));
      return null;
    } finally {
      if (this.file === file) this.file = null;
    }
  }

  // Takes a scan to the server again, to go on from a session.
  again(source, session, isReturn) {
    if (source.demo) this.put({ kind: "demo", session }, { isReturn });
    else this.open({ ...source, session, isReturn });
  }

  // Does once more what was asked for, which may have died with the server.
  askAgain() {
    const { request, isReturn } = this;
    const { chosen } = this;
    if (request.kind === "model" || request.kind === "session") this.put(request, { chosen });
    else this.again(this.source, request.session ?? null, isReturn);
  }

  cancel() {
    if (this.isAsked) {
      this.send("cancel", {});
      this.panel.showWork("Cancelling", null);
      return;
    }
    this.file = null;
    this.panel.showWork(null);
    this.givenUp();
  }

  // Told whether the server is at work; says whether that work can be cancelled.
  isCancellable(busy) {
    this.isAsked = this.isAsked && busy;
    return this.isAsked;
  }
}
