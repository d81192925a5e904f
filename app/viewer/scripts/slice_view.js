// One of the three views: a canvas that shows a slice of the scan and what lies over it.

const VIEW_NAMES = { axial: "Axial", coronal: "Coronal", sagittal: "Sagittal", surface: "3-D surface" };

class SliceView {
  // stage: what all views share; see stage.js.
  constructor(section, stage) {
    this.section = section;
    this.plane = section.dataset.plane;
    this.stage = stage;
    section.innerHTML = sliceViewMarkup(this.plane);
    this.slider = section.querySelector("input[type=range]");
    this.number = section.querySelector("input[type=number]");
    this.last = section.querySelector("[data-last]");
    this.canvas = section.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.camera = INITIAL_CAMERA;
    this.scanPicture = newPicture();
    // By the layer of stage.layers that it shows.
    this.pictures = new WeakMap();
    this.requested = 0;
    this.resize();
    new ResizeObserver(() => this.resize()).observe(this.canvas);
    for (const [edge, letter] of Object.entries(PLANES[this.plane].letters)) {
      section.querySelector("[data-edge=" + edge + "]").textContent = letter;
    }
  }

  get slice() {
    return this.stage.cross[PLANES[this.plane].normal];
  }

  get frame() {
    return frameOf(this.plane, this.stage.volume, this.size, this.camera);
  }

  resize() {
    const ratio = window.devicePixelRatio;
    // Kept, because asking makes the browser lay the page out at once.
    this.size = { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
    this.canvas.width = Math.round(this.size.width * ratio);
    this.canvas.height = Math.round(this.size.height * ratio);
    this.draw();
  }

  // The slider and the number follow the slice; called when the scan or the crosshair changes.
  showSlice() {
    const last = this.stage.volume.shape[PLANES[this.plane].normal] - 1;
    for (const input of [this.slider, this.number]) {
      input.max = last;
      input.value = this.slice;
    }
    this.last.textContent = "/ " + last;
    this.redraw();
  }

  setCamera(camera) {
    this.camera = camera;
    this.redraw();
  }

  // The voxel under a mouse event, or null beside the image.
  voxelUnder(event) {
    return voxelAt(this.plane, this.stage.volume, this.frame, this.slice, this.pointUnder(event));
  }

  pointUnder(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  // Draws once before the next frame, however often it is called until then.
  redraw() {
    if (this.requested) return;
    this.requested = requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.requested);
    this.requested = 0;
    const { context, stage, plane, slice } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!stage.volume || this.canvas.width === 0) return;
    const { size, frame } = this;
    // Not devicePixelRatio: the canvas has whole pixels, and must fill its box exactly.
    context.setTransform(this.canvas.width / size.width, 0, 0, this.canvas.height / size.height, 0, 0);
    // Bars would lie under the letters of its edges.
    const isThumbnail = size.width <= 160;
    this.drawScan(frame, slice);
    if (!stage.bare) {
      const shown = stage.layers.filter(
        (layer) => layer.shown && (stage.maskShown || !layer.outline || layer.onlyOutline),
      );
      const pictures = shown.map((layer) => this.pictureOf(layer, frame, slice));
      shown.forEach((layer, place) => this.drawColours(layer, pictures[place], frame));
      shown.forEach((layer, place) => this.drawOutline(layer, pictures[place], frame));
      if (stage.crossShown) drawCrosshair(context, size, pointOf(plane, frame, stage.cross));
      drawClicks(context, stage, plane, frame, slice);
      if (stage.tool !== "click" && stage.pointed) {
        const ball = { voxel: stage.pointed, radius: stage.brushRadius, tool: stage.tool };
        drawBrush(context, plane, stage.volume, frame, slice, ball);
      }
      const legends = shown.map((layer) => layer.legend).filter(Boolean);
      if (!isThumbnail) drawColourBars(context, size, legends);
    }
    if (!isThumbnail) drawScaleBar(context, size, frame);
    this.publish(frame, slice);
  }

  drawScan(frame, slice) {
    const { volume, greys } = this.stage;
    this.scanPicture.update([volume, greys, slice], frame, (pixels) => {
      volume.paint(this.plane, slice, greys, pixels);
    });
    this.context.imageSmoothingEnabled = this.stage.smooth;
    this.context.imageSmoothingQuality = "high";
    this.place(this.scanPicture, frame);
  }

  // layer: see layers.js. None where it has nothing to show.
  pictureOf(layer, frame, slice) {
    if (!layer.touches(this.plane, slice)) return null;
    const picture = this.pictures.get(layer) ?? newPicture();
    this.pictures.set(layer, picture);
    picture.update([...layer.appearance, slice], frame, (pixels) => {
      layer.paint(this.plane, slice, pixels);
      picture.outline = layer.outline?.(this.plane, pixels, frame.columns, frame.rows);
    });
    return picture;
  }

  drawColours(layer, picture, frame) {
    const { context, stage } = this;
    if (!picture || layer.onlyOutline || (layer.outline && stage.maskStyle === "contour")) return;
    context.save();
    context.globalAlpha = layer.opacity ?? stage.opacity;
    context.imageSmoothingEnabled = !layer.outline && stage.smooth;
    this.place(picture, frame);
    context.restore();
  }

  drawOutline(layer, picture, frame) {
    const { context, stage } = this;
    if (!picture?.outline || (!layer.onlyOutline && stage.maskStyle === "fill")) return;
    const placed = new Path2D();
    placed.addPath(
      picture.outline,
      new DOMMatrix([frame.cellWidth, 0, 0, frame.cellHeight, frame.x, frame.y]),
    );
    const strokes = layer.onlyOutline ? [[4, HALO], [1.5, layer.colour]] : [[1.5, layer.colour]];
    context.save();
    context.lineCap = "square";
    for (const [width, style] of strokes) {
      context.lineWidth = width;
      context.strokeStyle = style;
      context.stroke(placed);
    }
    context.restore();
  }

  place(picture, { x, y, cellWidth, cellHeight, columns, rows }) {
    this.context.drawImage(picture.canvas, x, y, columns * cellWidth, rows * cellHeight);
  }

  // What is on screen, for scripts and assistive technology.
  publish({ x, y, cellWidth, cellHeight, columns, rows }, slice) {
    const { dataset } = this.canvas;
    dataset.slice = slice;
    dataset.frame = [x, y, columns * cellWidth, rows * cellHeight].join(" ");
    dataset.drawn = this.stage.maskVersion;
  }
}

function sliceViewMarkup(plane) {
  const name = VIEW_NAMES[plane];
  const axis = AXIS_NAMES[PLANES[plane].normal];
  const letters = ["left", "right", "top", "bottom"].map(
    (edge) => `<span class="cs-letter" data-edge="${edge}"></span>`,
  );
  return `
    <div class="cs-view-bar">
      <span class="cs-view-name">${name}</span><span class="cs-fill"></span>
      <button type="button" class="cs-button cs-icon cs-enlarge" data-enlarge="${plane}"
        title="Larger, and back" aria-label="Show the ${name.toLowerCase()} view larger"
        aria-pressed="false"></button>
    </div>
    <div class="cs-canvas-box"><canvas aria-hidden="true"></canvas>${letters.join("")}</div>
    <div class="cs-slice">
      <input type="range" min="0" max="0" value="0" aria-label="${name} slice" />
      <label title="Slice number"><span>${axis}</span>
        <input type="number" min="0" max="0" value="0" aria-label="${name} slice number" /></label>
      <span data-last></span>
    </div>`;
}

// Pixels of one slice, painted anew only when what they depend on has changed.
function newPicture() {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  let painted = [];
  let image = null;
  return {
    canvas,
    outline: null,
    update(dependencies, { columns, rows }, paint) {
      if (dependencies.every((value, place) => value === painted[place])) return;
      if (canvas.width !== columns || canvas.height !== rows || !image) {
        canvas.width = columns;
        canvas.height = rows;
        image = context.createImageData(columns, rows);
      }
      paint(new Uint32Array(image.data.buffer));
      context.putImageData(image, 0, 0);
      painted = dependencies;
    },
  };
}
