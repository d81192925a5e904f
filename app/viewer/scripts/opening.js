// What the person asked to open: on its way to the server, and then worked on there.

class Opening {
  // upload(file): takes a file to the server. limitMb: how large it may be. send, panel: see
  // viewer.js. givenUp(): called when an upload is cancelled.
  constructor({ upload, limitMb, send, panel, givenUp }) {
    Object.assign(this, { upload, limitMb, send, panel, givenUp });
    this.file = null;
    this.isAsked = false;
    // The files that were opened last; a restarted server has to be given them again.
    this.last = null;
    // Numbers the requests, so that one can be taken back; see app/cancellation.py.
    this.ticket = 0;
  }

  ask(request) {
    if (request.kind === "demo") this.last = null;
    this.isAsked = true;
    this.ticket += 1;
    this.send("open", { request, ticket: this.ticket });
  }

  // file: a scan. beside: the voxels of a .mhd header. series, volume: which of several. session:
  // to go on from.
  async open({ file, beside, series = null, volume = null, session = null }) {
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
      this.last = { file, beside };
      this.ask({ kind: "upload", file: { path }, beside: voxels, series, volume, session });
    } catch {
      if (this.file !== file) return;
      this.panel.showWork(null);
      this.panel.showRefusal(failedUpload(file));
    } finally {
      if (this.file === file) this.file = null;
    }
  }

  // Takes the last scan to the server again, to go on from a session; false where there was none.
  again({ session, series = null, volume = null }) {
    if (!this.last) return false;
    this.open({ ...this.last, session, series, volume });
    return true;
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
