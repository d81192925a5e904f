// Where everything waits that leaves a scan, asks for another model or takes a file away: it goes on
// when the server has answered all that was done to the scan, collected clicks included.

class Gate {
  // sendCollected(): has the collected clicks answered. isAnswered(): whether nothing is on its way.
  constructor({ sendCollected, isAnswered }) {
    Object.assign(this, { sendCollected, isAnswered });
    this.waiting = [];
  }

  // Resolves to whether to go on.
  async passed() {
    this.sendCollected();
    while (!this.isAnswered()) {
      const goesOn = await new Promise((resolve) => this.waiting.push(resolve));
      if (!goesOn) return false;
      this.sendCollected();
    }
    return true;
  }

  answered() {
    this.release(true);
  }

  // The server has refused something: the person shall see what, and decide anew.
  refused() {
    this.release(false);
  }

  release(goesOn) {
    for (const resolve of this.waiting.splice(0)) resolve(goesOn);
  }
}
