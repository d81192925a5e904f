// The objects of the scan as layers: each its own mask, colour and visibility.

class ObjectLayers {
  // stage: what all views share; see viewer.js.
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
      if (unpacked[place]) layer.mask.set(object.mask, unpacked[place]);
      layer.bits = object.mask.bits;
      this.layers.set(object.id, layer);
    });
    this.show();
    return true;
  }

  // Puts the objects under whatever else lies over the scan.
  show() {
    const others = this.stage.layers.filter((layer) => !layer.isObject);
    this.stage.layers = [...this.layers.values(), ...others];
  }
}

function objectLayer(volume) {
  const layer = maskLayer({ mask: new Mask(volume), colour: MASK_COLOUR });
  // bits: what the server sent; null while the mask shows something that it has not confirmed.
  return Object.assign(layer, { isObject: true, object: null, bits: null });
}
