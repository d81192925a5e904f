// The list of objects: choose, rename, recolour, show or hide, delete.

// As caiseg/annotation/objects.py gives them out; colour-blind eyes tell them apart.
const OBJECT_COLOURS = ["#E69F00", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#F0E442", "#56B4E9"];

const EYE = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6z"/><circle cx="12" cy="12" r="2.5"/></svg>';

class ObjectList {
  // find(role): the element of that role. commands: see viewer.js.
  constructor(find, commands) {
    this.find = find;
    this.list = find("object-list");
    this.commands = commands;
    this.latest = null;
    this.renaming = false;
    find("object-colours").replaceChildren(...OBJECT_COLOURS.map((colour) => new Option(colour)));
  }

  // layers: of objects.js, in order. active: id of the active object; null while it is not known.
  show(layers, active) {
    this.latest = { layers, active };
    // A name that is being typed must not vanish because an answer came.
    if (this.renaming) return;
    const focus = this.focus();
    this.find("object-count").textContent = layers.length;
    this.find("overlap-rule").hidden = layers.length < 2;
    const rows = layers.map((layer, place) => this.row(layer, place, layers.length, active));
    this.list.replaceChildren(...rows);
    this.list.querySelector(focus)?.focus();
    requestAnimationFrame(() => {
      this.list.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
    });
  }

  row(layer, place, count, active) {
    const { id, name, colour, accepted } = layer.object;
    const { shown } = layer;
    const row = node("li");
    row.dataset.object = id;
    row.dataset.accepted = accepted;
    row.dataset.shown = shown;
    row.setAttribute("aria-current", id === active);
    row.append(
      this.swatch(id, name, colour),
      this.choice(layer, place),
      this.button("shown", "Show or hide " + name, () => this.commands.showObject(id)),
      this.button("remove", "Delete " + name, () => this.commands.removeObject(id)),
    );
    const [eye, remove] = row.querySelectorAll(".cs-icon");
    eye.innerHTML = EYE;
    eye.setAttribute("aria-pressed", shown);
    remove.textContent = "×";
    remove.disabled = count === 1;
    return row;
  }

  // Figures that came later than the masks: the rows stay, and may be clicked on meanwhile.
  measured(layers) {
    if (this.renaming) return;
    const buttons = this.list.querySelectorAll(".cs-choose");
    buttons.forEach((button, place) => describe(button, layers[place], place));
  }

  swatch(id, name, colour) {
    const input = node("input");
    Object.assign(input, { type: "color", value: colour.toLowerCase(), title: "Colour of " + name });
    input.setAttribute("list", "cs-object-colours");
    input.setAttribute("aria-label", "Colour of " + name);
    input.dataset.part = "colour";
    input.onchange = () => this.commands.recolourObject(id, input.value.toUpperCase());
    return input;
  }

  choice(layer, place) {
    const { id, name, accepted } = layer.object;
    const button = node("button");
    button.type = "button";
    button.className = "cs-choose";
    button.title = name + ": choose; double-click or F2 to rename";
    button.dataset.part = "choose";
    button.append(
      node("span", place + 1),
      node("b", name),
      node("span", accepted ? "✓" : ""),
      node("small"),
    );
    describe(button, layer, place);
    button.onclick = () => this.commands.selectObject(id);
    button.ondblclick = () => this.rename(id, name);
    button.onkeydown = (event) => {
      if (event.key === "F2") this.rename(id, name);
    };
    return button;
  }

  button(part, title, run) {
    const button = node("button");
    button.type = "button";
    button.className = "cs-button cs-icon";
    button.title = title;
    button.setAttribute("aria-label", title);
    button.dataset.part = part;
    button.onclick = run;
    return button;
  }

  rename(id, name) {
    const input = node("input");
    Object.assign(input, { type: "text", value: name, maxLength: 80 });
    input.setAttribute("aria-label", "Name of the object");
    this.renaming = true;
    const leave = (isKept) => {
      if (!this.renaming) return;
      this.renaming = false;
      const chosen = input.value.trim();
      if (isKept && chosen && chosen !== name) this.commands.renameObject(id, chosen);
      this.show(this.latest.layers, this.latest.active);
      this.list.querySelector("[data-object='" + id + "'] .cs-choose")?.focus();
    };
    input.onkeydown = (event) => {
      if (event.key === "Enter") leave(true);
      if (event.key === "Escape") leave(false);
      event.stopPropagation();
    };
    input.onblur = () => leave(true);
    this.list.querySelector("[data-object='" + id + "'] .cs-choose").replaceWith(input);
    input.select();
  }

  // A selector for what has the focus now, to give it back after the rows were made anew.
  focus() {
    const part = document.activeElement?.closest?.("[data-object] [data-part]");
    if (!part || !this.list.contains(part)) return ":not(*)";
    const { object } = part.closest("[data-object]").dataset;
    return "[data-object='" + object + "'] [data-part=" + part.dataset.part + "]";
  }
}

// Says what an object is called and how large it is.
function describe(button, { object, diameters }, place) {
  const { name, accepted, millilitres } = object;
  const figures = [inMillilitres(millilitres), diameters].filter(Boolean);
  button.querySelector("small").textContent = figures.join("  ·  ");
  const words = ["Object " + (place + 1), name, ...figures, accepted && "accepted"];
  button.setAttribute("aria-label", words.filter(Boolean).join(", "));
}

function inMillilitres(millilitres) {
  return millilitres.toFixed(millilitres < 10 ? 2 : 1) + " mL";
}
