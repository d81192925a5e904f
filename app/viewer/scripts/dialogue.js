// The conversation with the server about one scan.
//
// The page keeps everything the person did to the scan, in order, and sends the whole list each
// time; the server answers what it has not answered yet and says how far it got. So clicks that
// come faster than answers are neither lost nor counted twice.
//
// A server that has forgotten the scan is given it again, with everything up to then as a session;
// what the person does meanwhile is sent when that is answered.

class Dialogue {
  // source: what to open the scan with again, see opening.js. send(event, changes): sets those
  // fields of the component's value and triggers the event.
  constructor(scanId, source, send) {
    this.scanId = scanId;
    this.source = source;
    this.send = send;
    this.actions = [];
    this.answered = null;
    // How many actions the scan is given with, while it is given again.
    this.given = null;
  }

  act(action) {
    this.actions = [...this.actions, action];
    this.ask();
  }

  // Says everything there is to say, perhaps once more.
  ask() {
    if (!this.isMoving) this.send("act", { scan: this.scanId, actions: this.actions });
  }

  get isMoving() {
    return this.given !== null;
  }

  // The scan is given again.
  move() {
    this.given = this.actions.length;
  }

  // It has not come to that.
  stay() {
    this.given = null;
  }

  // False for an answer about another scan, or one that a newer answer has overtaken.
  accept(answer) {
    if (answer.scan !== this.scanId) return false;
    if (this.isMoving) {
      this.actions = this.actions.slice(this.given);
      this.stay();
      if (this.actions.length > 0) this.ask();
    } else if (this.answered && answer.seq <= this.answered.seq) {
      return false;
    }
    this.answered = answer;
    return true;
  }

  get pending() {
    return this.actions.slice(this.answered ? this.answered.applied : 0);
  }

  // The clicks of the active object to draw: those the mask on screen was made from, as they will
  // be after what is on its way.
  get clicks() {
    return this.pending.reduce(clicksAfter, this.answered ? this.answered.clicks : []);
  }

  // The object that is active after what is on its way; null where only the server knows.
  get active() {
    const choice = this.pending.findLast(({ do: what }) => CHOOSES_OBJECT.has(what));
    if (choice) return choice.do === "select" ? choice.object : null;
    return this.answered ? this.answered.active : null;
  }
}

const CHOOSES_OBJECT = new Set(["select", "new", "remove", "accept", "undo", "redo"]);

function clicksAfter(clicks, action) {
  const pending = true;
  switch (action.do) {
    case "click":
      return [...clicks, { voxel: action.voxel, label: action.label, pending }];
    case "clicks":
      return [...clicks, ...action.clicks.map((click) => ({ ...click, pending }))];
    case "move":
      return clicks.map((click, place) =>
        place === action.index ? { ...click, voxel: action.voxel, pending } : click);
    case "delete":
      return clicks.filter((_, place) => place !== action.index);
    case "reset": case "new": case "select": case "accept": case "start":
      return [];
    default:
      return clicks;
  }
}
