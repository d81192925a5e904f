// Scans come in by the file picker or by drag-and-drop; masks go out as downloads.

// open(files): called with the files that the person chose.
function attachFiles(find, open) {
  const input = find("file");
  const curtain = find("drop");
  input.addEventListener("change", () => {
    if (input.files.length > 0) open([...input.files]);
    // Otherwise choosing the same file again would not be a change.
    input.value = "";
  });

  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    curtain.classList.add("cs-shown");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) curtain.classList.remove("cs-shown");
  });
  document.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    curtain.classList.remove("cs-shown");
    if (event.dataTransfer.files.length > 0) open([...event.dataTransfer.files]);
  });
}

// Goes on from a mask that was saved before; see app/page_actions.py. upload(file): takes it to the
// server. act: see annotating.js. failed(file): why that was not done. refuse(sentence): tells the
// person.
function attachMaskUpload({ find, upload, act, failed, refuse }) {
  const input = find("mask-file");
  const start = async (file) => {
    try {
      const { path } = await upload(file);
      act({ do: "start", file: { path } });
    } catch {
      refuse(failed(file));
    }
  };
  input.addEventListener("change", () => {
    if (input.files.length > 0) start(input.files[0]);
    input.value = "";
  });
}

function offerDownload({ name, file }) {
  const link = document.createElement("a");
  link.href = file.url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
