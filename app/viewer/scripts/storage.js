// The browser's own storage. A browser may be told to keep nothing, and then forbids even to look
// whether there is something: the page works on without.

const storage = {
  // The text under a key; null for none.
  read: (key) => attempted(() => localStorage.getItem(key), null),
  keys: () => attempted(() => Object.keys(localStorage), []),
  // Returns whether it is kept.
  write: (key, text) => attempted(() => {
    localStorage.setItem(key, text);
    return true;
  }, false),
  remove: (key) => attempted(() => localStorage.removeItem(key)),
};

function attempted(use, otherwise) {
  try {
    return use();
  } catch {
    return otherwise;
  }
}
