// The list of the active object's clicks.

class ClickList {
  // find(role): the element of that role. commands: see viewer.js.
  constructor(find, commands) {
    this.count = find("click-count");
    this.hint = find("no-clicks");
    this.list = find("clicks");
    this.send = find("send-clicks");
    this.commands = commands;
  }

  // clicks: {voxel, label, pending: on its way, collected: waiting to be sent}.
  show(clicks) {
    const collected = clicks.filter((click) => click.collected).length;
    const grown = clicks.length > this.list.children.length;
    this.count.textContent = clicks.length;
    this.hint.hidden = clicks.length > 0;
    this.send.disabled = collected === 0;
    this.list.replaceChildren(...clicks.map((click, index) => this.row(click, index)));
    if (grown) requestAnimationFrame(() => { this.list.scrollTop = this.list.scrollHeight; });
  }

  // The row of the click under the pointer stands out; -1 for none.
  mark(hovered) {
    [...this.list.children].forEach((row, index) => {
      row.classList.toggle("cs-marked", index === hovered);
    });
  }

  row(click, index) {
    const foreground = click.label === "fg";
    const row = node("li");
    row.dataset.voxel = click.voxel.join(",");
    row.dataset.label = click.label;
    row.dataset.pending = Boolean(click.pending);
    row.dataset.collected = Boolean(click.collected);
    const words = (foreground ? "foreground" : "background") + " click " + (index + 1);
    const jump = node("button");
    jump.type = "button";
    jump.className = "cs-jump";
    jump.title = "Show this voxel in all views";
    jump.setAttribute("aria-label", "Go to " + words + " at voxel " + click.voxel.join(", "));
    jump.append(
      node("span", index + 1),
      node("b", foreground ? "+" : "−"),
      node("span", click.voxel.join(", ")),
    );
    jump.onclick = () => this.commands.goTo(click.voxel);
    const remove = node("button", "×");
    remove.type = "button";
    remove.className = "cs-button cs-icon";
    remove.title = "Delete this click";
    remove.setAttribute("aria-label", "Delete " + words);
    remove.disabled = Boolean(click.pending);
    remove.onclick = () => this.commands.deleteClick(index);
    row.onpointerenter = () => this.commands.hoverClick(index);
    row.onpointerleave = () => this.commands.hoverClick(-1);
    row.append(jump, remove);
    return row;
  }
}
