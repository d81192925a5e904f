// The objects of the scan as layers: each its own mask, colour and visibility.

class ObjectLayers {
  // stage: what all views share; see stage.js.
  constructor(stage) {
    this.stage = stage;
    this.start(null);
  }

  // Forgets the objects of the scan before.
  start(volume) {
    this.volume = volume;
    // By id, in the order of the list.
    this.layers = new Map();
    this.show();
  }

  of(id) {
    return this.layers.get(id);
  }

  get all() {
    return [...this.layers.values()];
  }

  // objects: as app/replies.py lists them. Resolves to whether they are on the stage, which they
  // are not when `overtaken` says so after their masks were unpacked.
  async set(objects, overtaken) {
    const unpacked = await Promise.all(
      objects.map(({ id, mask }) =>
        this.of(id)?.bits === mask.bits ? null : inflate(bytesOfBase64(mask.bits))),
    );
    if (overtaken()) return false;
    const before = this.layers;
    this.layers = new Map();
    objects.forEach((object, place) => {
      const layer = before.get(object.id) ?? objectLayer(this.volume);
      layer.object = object;
      layer.colour = object.colour;
      if (unpacked[place]) {
        layer.bits = object.mask.bits;
        layer.confirmed = unpacked[place];
        layer.isDirty = true;
        layer.diameters = null;
      }
      this.layers.set(object.id, layer);
    });
    this.show();
    return true;
  }

  // found: what the masks measure, as app/measurements.py lists it.
  measured(found) {
    const inMillimetres = (length) => length.toFixed(length < 10 ? 1 : 0);
    for (const { id, longest, perpendicular } of found) {
      const layer = this.of(id);
      if (!layer || longest === null) continue;
      layer.diameters = inMillimetres(longest) + " × " + inMillimetres(perpendicular) + " mm";
    }
  }

  // Draws a stroke, from that point of its path on, before the server has confirmed it.
  draw(id, stroke, first) {
    const layer = this.of(id);
    if (!layer) return;
    layer.isDirty = true;
    // What other objects keep, see caiseg/annotation/objects.py; a stroke opens an accepted object.
    const above = this.all.slice(0, this.all.indexOf(layer));
    const rivals = this.all.filter(
      (other) => other !== layer && (other.object.accepted || above.includes(other)),
    );
    const isTaken = (i, j, k) => rivals.some(({ mask }) => mask.has(i, j, k));
    drawStroke(layer.mask, this.volume, stroke, first, isTaken);
  }

  // Shows what the server has confirmed, and over it the strokes among the actions on their way.
  settle(active, pending) {
    for (const layer of this.all.filter(({ isDirty }) => isDirty)) {
      layer.mask.set(layer.object.mask, layer.confirmed);
      layer.isDirty = false;
    }
    let id = active;
    for (const action of pending) {
      if (action.do === "select") id = action.object;
      // Only the server knows what comes after the others.
      else if (CHOOSES_OBJECT.has(action.do)) return;
      else if (action.do === "paint" || action.do === "erase") this.draw(id, action, 0);
    }
  }

  // Puts the objects under whatever else lies over the scan.
  show() {
    const others = this.stage.layers.filter((layer) => !layer.isObject);
    this.stage.layers = [...this.layers.values(), ...others];
  }
}

function objectLayer(volume) {
  const layer = maskLayer({ mask: new Mask(volume), colour: MASK_COLOUR });
  // bits, confirmed: the mask as the server sent it, packed and unpacked; isDirty: whether something
  // else is shown; diameters: of the mask in words, once they are known.
  return Object.assign(layer, {
    isObject: true, object: null, bits: null, confirmed: null, isDirty: false, diameters: null,
  });
}
