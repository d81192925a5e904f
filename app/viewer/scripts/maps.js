// Heat maps of what the network thinks, and the outline of where it is undecided.
//
// A map is asked for when it is switched on, and again after each answer while it stays on; while
// none is on, nothing is sent.

const MAP_TITLES = { affinity: "Affinity to the last click", probability: "Foreground probability" };
const UNCERTAIN_COLOUR = "#F0E442";

class Maps {
  // find: as in viewer.js. stage, redraw: what all views share, and its drawing anew. ask(kind):
  // asks the server for a map. goTo(voxel): moves the crosshair.
  constructor({ find, stage, redraw, ask, goTo }) {
    Object.assign(this, { find, stage, redraw, ask, goTo });
    // The map that is on, whether the uncertain regions are, and whether to go there on arrival.
    this.chosen = null;
    this.outlined = false;
    this.going = false;
    this.layers = [];
    this.answer = null;
  }

  scanShown() {
    this.chosen = null;
    this.outlined = false;
    this.going = false;
    this.answer = null;
    this.put([]);
  }

  // A new answer makes the maps on screen out of date.
  answered(answer) {
    this.answer = answer;
    this.put([]);
    this.refresh();
  }

  // kind: affinity or probability. Switched on again, it is switched off.
  toggle(kind) {
    if (!this.answer) return;
    this.chosen = this.chosen === kind ? null : kind;
    this.put([]);
    this.refresh();
  }

  toggleUncertain() {
    if (!this.answer) return;
    this.outlined = !this.outlined;
    this.put([]);
    this.refresh();
  }

  goToUncertain() {
    if (!this.answer) return;
    this.going = true;
    this.outlined = true;
    this.refresh();
  }

  // Uncertain regions come with the probability.
  refresh() {
    this.showButtons();
    if (this.chosen === "affinity" && !this.outlined) this.ask("affinity");
    else if (this.chosen !== null || this.outlined) this.ask("probability");
  }

  // What was asked for cannot be done, which the page says by itself.
  refused() {
    if (this.layers.length > 0) return;
    this.chosen = null;
    this.outlined = false;
    this.going = false;
    this.showButtons();
  }

  async arrived(map) {
    const { volume } = this.stage;
    const isCurrent = () =>
      map.scan === this.stage.volume?.description.id && map.seq === this.answer?.seq;
    if (!isCurrent()) return;
    const isWanted = (kind) => (kind === "uncertain" ? this.outlined : this.chosen === kind);
    const made = [];
    if (isWanted(map.kind)) made.push(await this.coloured(map, volume));
    if (map.uncertain && isWanted("uncertain")) made.push(await this.outline(map.uncertain.mask, volume));
    // Meanwhile the person may have clicked on, or switched it off.
    if (!isCurrent()) return;
    const replaced = map.uncertain ? [map.kind, "uncertain"] : [map.kind];
    const layers = this.layers.filter(({ kind }) => !replaced.includes(kind));
    layers.push(...made.filter(({ kind }) => isWanted(kind)));
    this.put(layers);
    if (layers.length > 0) this.find("root").dataset.map = layers.map(({ kind }) => kind).join(" ");
    this.showUncertain(map.uncertain);
    // The outline and the affinity map are two questions.
    if (this.chosen === "affinity" && map.kind !== "affinity") this.ask("affinity");
  }

  async coloured(map, volume) {
    const response = await fetch(map.file.url);
    const crop = new Uint8Array(await decompress(response.body, "gzip"));
    const layer = mapLayer({
      grid: volume, values: spread(crop, map, volume), low: 0, high: 255, title: MAP_TITLES[map.kind],
    });
    // Where the colours stand is said in parts of 1, not of 255.
    layer.legend = { ...layer.legend, low: 0, high: 1 };
    return Object.assign(layer, { kind: map.kind });
  }

  async outline(mask, volume) {
    const undecided = new Mask(volume);
    undecided.set(mask, await inflate(bytesOfBase64(mask.bits)));
    const layer = maskLayer({ mask: undecided, colour: UNCERTAIN_COLOUR });
    return Object.assign(layer, { kind: "uncertain", onlyOutline: true });
  }

  showUncertain(uncertain) {
    if (!uncertain) return;
    if (this.going && uncertain.most) this.goTo(uncertain.most);
    this.going = false;
    this.find("map-note").textContent = uncertain.most
      ? "Most undecided: axial slice " + uncertain.most[2] + "."
      : "The network is sure of every voxel.";
  }

  // Maps lie over the objects, in place of those before.
  put(layers) {
    this.layers = layers;
    this.stage.layers = [...this.stage.layers.filter(({ kind }) => !kind), ...layers];
    if (layers.length === 0) delete this.find("root").dataset.map;
    this.showButtons();
    this.redraw();
  }

  showButtons() {
    press(this.find("map-affinity"), this.chosen === "affinity");
    press(this.find("map-probability"), this.chosen === "probability");
    press(this.find("map-uncertain"), this.outlined);
    if (!this.outlined) this.find("map-note").textContent = "";
  }
}

// A crop of 8-bit values, i fastest, on the whole grid; around it is 0.
function spread(crop, { start, size }, { shape }) {
  const values = new Uint8Array(shape[0] * shape[1] * shape[2]);
  for (let k = 0; k < size[2]; k += 1) {
    for (let j = 0; j < size[1]; j += 1) {
      const from = size[0] * (j + size[1] * k);
      const to = start[0] + shape[0] * (start[1] + j + shape[1] * (start[2] + k));
      values.set(crop.subarray(from, from + size[0]), to);
    }
  }
  return values;
}
