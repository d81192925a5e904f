// Several scans to annotate one after the other, each with its own session.

class Worklist {
  // find: as in viewer.js. open(item): uploads and opens a scan, in the state of its session.
  // ready(): resolves to whether the scan on screen can be left. say(sentence): tells the person
  // which scans were passed over, until that is taken back with "".
  constructor({ find, open, ready, say }) {
    Object.assign(this, { find, open, ready, say });
    this.items = [];
    // Places in the list of the scan on screen, and of the one that is being opened.
    this.current = -1;
    this.opening = -1;
    // Where to go on from one that cannot be opened: 1 forth, -1 back, 0 nowhere. The place to go
    // on with, and what was said of those on the way.
    this.direction = 0;
    this.next = -1;
    this.complaints = [];
    this.show();
  }

  get busy() {
    return this.items.length > 0;
  }

  // scans: { file, beside } of each. The first of them that can be opened is.
  add(scans) {
    const first = this.items.length;
    const added = scans.map((scan) => ({
      ...scan, name: scan.file.name, mark: markOf(scan.file), done: false, refusal: "", session: null,
    }));
    this.items.push(...added);
    this.show();
    this.showKeptMarks(added);
    this.choose(first, 1);
  }

  async showKeptMarks(added) {
    const marks = await Promise.all(added.map(({ mark }) => mark));
    const kept = new Set(doneMarks());
    added.forEach((item, place) => {
      item.done = kept.has(marks[place]);
    });
    this.show();
  }

  // The nearest place in a direction whose scan can be opened, as far as is known; -1 for none.
  beyond(place, by) {
    const next = place + by;
    if (!this.items[next]) return -1;
    return this.items[next].refusal ? this.beyond(next, by) : next;
  }

  step(by) {
    const next = this.beyond(this.current, by);
    if (next >= 0) this.choose(next, by);
  }

  async choose(place, direction = 0) {
    if (!(await this.ready()) || this.opening >= 0) return;
    this.direction = direction;
    this.complaints = [];
    this.say("");
    this.begin(place);
  }

  begin(place) {
    this.opening = place;
    this.open(this.items[place]);
  }

  // What is being opened will not be on screen; sentence: why, unless the person wanted that.
  refused(sentence) {
    const place = this.opening;
    this.opening = -1;
    if (place < 0 || !sentence) return;
    const item = this.items[place];
    item.refusal = sentence.includes(item.name) ? sentence : item.name + ": " + sentence;
    this.complaints.push(item.refusal);
    this.say(this.complaints.join(" "));
    this.next = this.direction === 0 ? -1 : this.beyond(place, this.direction);
    this.show();
  }

  // Passes over what cannot be opened, now that the scan from before is back.
  goOn() {
    const { next } = this;
    this.next = -1;
    if (next >= 0) this.begin(next);
  }

  toggleDone(place = this.current) {
    if (place < 0) return;
    const item = this.items[place];
    item.done = !item.done;
    item.mark.then((mark) => keepDone(mark, item.done));
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
    if (this.opening < 0 || answer.seq !== 1) return;
    this.current = this.opening;
    this.opening = -1;
    this.items[this.current].refusal = "";
    this.show();
  }

  // session: everything that was done to the scan on screen.
  keep(session) {
    const item = this.items[this.current];
    if (item) item.session = session.actions.length > 0 ? session : null;
  }

  show() {
    const { items, current } = this;
    const section = this.find("worklist");
    section.hidden = items.length === 0;
    const count = items.filter(({ done }) => done).length;
    this.find("worklist-count").textContent = count + " of " + items.length + " done";
    this.find("previous-scan").disabled = this.beyond(current, -1) < 0;
    this.find("next-scan").disabled = this.beyond(current, 1) < 0;
    this.find("worklist-items").replaceChildren(...items.map((item, place) => this.row(item, place)));
    section.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
  }

  row({ name, done, refusal }, place) {
    const row = node("li");
    row.setAttribute("aria-current", place === this.current);
    row.dataset.refused = refusal !== "";
    const jump = node("button", refusal ? "⚠ " + name : name);
    Object.assign(jump, { type: "button", className: "cs-jump", title: "Open " + name });
    if (refusal) jump.title = refusal + " Press to try it again.";
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
