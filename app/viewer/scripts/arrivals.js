// What the files are that a person chose or dropped.

// Returns { session } for a session file; otherwise { scans }, each { file, beside }, where beside
// holds the voxels of a .mhd header that came with it.
function sortArrivals(files) {
  const [session] = files.filter(({ name }) => /\.json$/i.test(name));
  if (session) return { session, scans: [] };
  const headers = files.filter(({ name }) => /\.mhd$/i.test(name));
  const voxels = files.filter(({ name }) => /\.z?raw$/i.test(name));
  const stem = ({ name }) => name.replace(/\.[^.]*$/, "").toLowerCase();
  const besideOf = (header) =>
    voxels.find((file) => stem(file) === stem(header)) ?? (headers.length === 1 ? voxels[0] : undefined);
  const used = new Set(headers.map(besideOf).filter(Boolean));
  const scans = files.filter((file) => !used.has(file)).map((file) => ({
    file,
    beside: headers.includes(file) ? besideOf(file) : undefined,
  }));
  return { session: null, scans };
}

// Asks which of several series or volumes to open. chosen(option): called with the answer; none():
// called when it is none of them.
function askWhich(dialog, { question, options }, chosen, none) {
  const heading = node("h2", question);
  const list = node("ol");
  for (const option of options) {
    const button = node("button", option.label);
    Object.assign(button, { type: "button", className: "cs-button", title: "Open " + option.label });
    button.onclick = () => {
      dialog.onclose = null;
      dialog.close();
      chosen(option);
    };
    const row = node("li");
    row.append(button);
    list.append(row);
  }
  const cancel = node("button", "Cancel");
  Object.assign(cancel, { type: "button", className: "cs-button", title: "Open none of them" });
  cancel.onclick = () => dialog.close();
  dialog.onclose = none;
  dialog.replaceChildren(heading, list, cancel);
  dialog.showModal();
}
