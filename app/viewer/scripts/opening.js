// What the person asked to open: on its way to the server, and then worked on there.

class Opening {
  // upload(file): takes a file to the server. limitMb: how large it may be. send, panel: see
  // viewer.js. givenUp(): called when an upload is cancelled or has failed.
  constructor({ upload, limitMb, send, panel, givenUp }) {
    Object.assign(this, { upload, limitMb, send, panel, givenUp });
    this.file = null;
    this.isAsked = false;
    this.request = null;
    // Whether the scan is asked for that is on screen, because the server has forgotten it.
    this.isReturn = false;
    // What was opened last: { file, beside, series, volume }, or { demo: true }.
    this.source = null;
    // Numbers the requests, so that one can be taken back; see app/cancellation.py.
    this.ticket = 0;
  }

  ask(request, isReturn = false) {
    const { kind, series, volume } = request;
    if (kind === "demo") this.source = { demo: true };
    else if (kind === "upload") this.source = { ...this.source, series, volume };
    // Other requests are about the scan that is open by then.
    if (kind === "demo" || kind === "upload") this.isReturn = isReturn;
    Object.assign(this, { request, isAsked: true });
    this.ticket += 1;
    this.send("open", { request, ticket: this.ticket });
  }

  // file: a scan. beside: the voxels of a .mhd header. series, volume: which of several. session:
  // to go on from. isReturn: whether the scan is on screen.
  async open({ file, beside, series = null, volume = null, session = null, isReturn = false }) {
    if (this.file) return;
    this.panel.showRefusal("");
    if (Math.max(file.size, beside?.size ?? 0) > this.limitMb * 2 ** 20) {
      this.panel.showRefusal(
        file.name + " is larger than the " + this.limitMb + " MB that this server accepts; " +
        "crop it, or compress it to .nii.gz.",
      );
      return;
    }
    this.file = file;
    this.panel.showWork("Uploading " + file.name, null, true);
    try {
      const { path } = await this.upload(file);
      const voxels = beside ? { path: (await this.upload(beside)).path, name: beside.name } : null;
      if (this.file !== file) return;
      this.source = { file, beside };
      const request = { kind: "upload", file: { path }, beside: voxels, series, volume, session };
      this.ask(request, isReturn);
    } catch {
      if (this.file !== file) return;
      this.panel.showWork(null);
      this.panel.showRefusal(failedUpload(file));
      this.givenUp();
    } finally {
      if (this.file === file) this.file = null;
    }
  }

  // Takes a scan to the server again, to go on from a session.
  again(source, session, isReturn) {
    if (source.demo) this.ask({ kind: "demo", session }, isReturn);
    else this.open({ ...source, session, isReturn });
  }

  // Does once more what was asked for, which may have died with the server.
  askAgain() {
    const { request, isReturn } = this;
    if (request.kind === "model" || request.kind === "session") this.ask(request);
    else this.again(this.source, request.session ?? null, isReturn);
  }

  cancel() {
    if (this.file) {
      this.file = null;
      this.panel.showWork(null);
      this.givenUp();
    } else if (this.isAsked) {
      this.send("cancel", {});
      this.panel.showWork("Cancelling", null);
    }
  }

  // Told whether the server is at work; says whether that work can be cancelled.
  isCancellable(busy) {
    this.isAsked = this.isAsked && busy;
    return this.isAsked;
  }
}

function failedUpload(file) {
  return "The upload of " + file.name + " failed; see whether the server still runs.";
}
