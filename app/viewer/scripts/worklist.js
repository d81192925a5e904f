// Several scans to annotate one after the other, each with its own session.

class Worklist {
  // find: as in viewer.js. open(item): uploads and opens a scan, in the state of its session.
  // ready(): whether nothing is on its way that leaving the scan would lose.
  constructor({ find, open, ready }) {
    Object.assign(this, { find, open, ready });
    this.items = [];
    // Places in the list of the scan on screen, and of the one that is being opened.
    this.current = -1;
    this.opening = -1;
    this.show();
  }

  get busy() {
    return this.items.length > 0;
  }

  // scans: { file, beside } of each. The first of them is opened.
  add(scans) {
    const first = this.items.length;
    this.items.push(...scans.map((scan) => ({ ...scan, name: scan.file.name, done: false, session: null })));
    this.show();
    this.choose(first);
  }

  step(by) {
    const next = this.current + by;
    if (next >= 0 && next < this.items.length) this.choose(next);
  }

  choose(place) {
    if (!this.ready()) return;
    this.opening = place;
    this.open(this.items[place]);
  }

  toggleDone(place = this.current) {
    if (place < 0) return;
    this.items[place].done = !this.items[place].done;
    this.show();
  }

  // Which of several series or volumes was chosen is not asked again.
  chose({ series, volume }) {
    if (this.opening >= 0) Object.assign(this.items[this.opening], { series, volume });
  }

  // A scan from elsewhere is none of the list.
  left() {
    this.opening = -1;
    this.current = -1;
    this.show();
  }

  answered(answer) {
    if (this.opening >= 0 && answer.seq === 1) {
      this.current = this.opening;
      this.opening = -1;
      this.show();
    }
    const item = this.items[this.current];
    if (item) item.session = answer.session.actions.length > 0 ? answer.session : null;
  }

  show() {
    const { items, current } = this;
    const section = this.find("worklist");
    section.hidden = items.length === 0;
    const count = items.filter(({ done }) => done).length;
    this.find("worklist-count").textContent = count + " of " + items.length + " done";
    this.find("previous-scan").disabled = current <= 0;
    this.find("next-scan").disabled = current < 0 || current >= items.length - 1;
    this.find("worklist-items").replaceChildren(...items.map((item, place) => this.row(item, place)));
    section.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
  }

  row({ name, done }, place) {
    const row = node("li");
    row.setAttribute("aria-current", place === this.current);
    const jump = node("button", name);
    Object.assign(jump, { type: "button", className: "cs-jump", title: "Open " + name });
    jump.onclick = () => this.choose(place);
    const mark = node("button", done ? "✓" : "○");
    Object.assign(mark, { type: "button", className: "cs-button cs-icon" });
    mark.title = done ? "Not done yet" : "Mark as done";
    mark.setAttribute("aria-label", mark.title + ": " + name);
    press(mark, done);
    mark.onclick = () => this.toggleDone(place);
    row.append(jump, mark);
    return row;
  }
}
