// The conversation with the server about one scan.
//
// The page keeps everything the person did to the scan, in order, and sends the whole list each
// time; the server answers what it has not answered yet and says how far it got. So clicks that
// come faster than answers are neither lost nor counted twice.

class Dialogue {
  // send(event, changes): sets those fields of the component's value and triggers the event.
  constructor(scanId, send) {
    this.scanId = scanId;
    this.send = send;
    this.actions = [];
    this.answered = null;
  }

  act(action) {
    this.actions = [...this.actions, action];
    this.send("act", { scan: this.scanId, actions: this.actions });
  }

  // False for an answer about another scan, or one that a newer answer has overtaken.
  accept(answer) {
    if (answer.scan !== this.scanId || (this.answered && answer.seq <= this.answered.seq)) {
      return false;
    }
    this.answered = answer;
    return true;
  }

  get pending() {
    return this.actions.slice(this.answered ? this.answered.applied : 0);
  }

  // The clicks to draw: those the mask on screen was made from, and those on their way.
  get clicks() {
    const made = this.answered ? this.answered.clicks : [];
    const onTheirWay = this.pending.filter((action) => action.do === "click");
    return [...made, ...onTheirWay.map((action) => ({ ...action, pending: true }))];
  }
}
