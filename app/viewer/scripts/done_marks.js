// Which scans of worklists are done, in the browser's own storage.
//
// A scan is known by a hash of its file's name and size: the name itself may be a patient's.

const DONE_KEY = "caiseg.done";
const DONE_KEPT = 2000;

// Resolves to what stands for a file; null on a page that came neither from this machine nor by
// HTTPS, to which browsers offer no hashes.
async function markOf({ name, size }) {
  const digest = await window.crypto.subtle?.digest("SHA-256", new TextEncoder().encode(size + "/" + name));
  if (!digest) return null;
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The marks of what is done, the oldest first.
function doneMarks() {
  try {
    return JSON.parse(storage.read(DONE_KEY)) ?? [];
  } catch {
    return [];
  }
}

function keepDone(mark, isDone) {
  if (mark === null) return;
  const others = doneMarks().filter((other) => other !== mark);
  storage.write(DONE_KEY, JSON.stringify([...others, ...(isDone ? [mark] : [])].slice(-DONE_KEPT)));
}
