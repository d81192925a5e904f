// Goes on where a restart of the server, or a broken connection, has interrupted the work.

// A scan or a click that ends the server whenever it works on it must not do so for ever.
const TRIES = 3;
const TRIED =
  "The server stopped each time it worked on this; your steps are kept, and what you do next tries " +
  "it again.";

// dialogue(): about the scan on screen, or null. opening, connection: see their files.
// sessionWith(pending): everything that was done to that scan. refuse(sentence): gives up what was
// asked for.
function recoveryOf({ dialogue, opening, connection, sessionWith, refuse }) {
  let tries = 0;

  // Gives the server the scan again; the mask on screen stays until it is answered.
  function giveAgain(present) {
    present.move();
    const { kind, session } = opening.isAsked ? opening.request : {};
    // A session that was to be done again comes in the same go.
    const wanted = kind === "session" ? session : sessionWith(present.pending);
    opening.again(present.source, wanted, true);
  }

  return {
    // The server does not know the scan. Returns whether there is one to give again.
    lost() {
      const present = dialogue();
      if (!present?.answered) return false;
      if (present.isMoving || opening.file) return true;
      connection.keepAlive();
      giveAgain(present);
      return true;
    },
    // Events have ended without an answer. What is asked now waits until the server is there.
    interrupted() {
      const present = dialogue();
      // An upload waits by itself.
      if (opening.file) return;
      tries += 1;
      if (tries > TRIES) {
        tries = 0;
        refuse(TRIED);
      } else if (present?.isMoving) {
        present.stay();
        giveAgain(present);
      } else if (opening.isAsked) {
        opening.askAgain();
        // Another scan waits for what is on its way, see gate.js.
        if (present?.pending.length > 0) present.ask();
      } else if (present?.answered) {
        present.ask();
      }
    },
    answered() {
      tries = 0;
    },
  };
}
