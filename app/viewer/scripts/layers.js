// What lies over the scan. `stage.layers` lists the layers in the order in which they are drawn,
// the last on top, and all outlines over all colours. Two functions make them:
//
//   maskLayer({ mask, colour })                    a mask (see mask.js) in one colour, "#RRGGBB"
//   mapLayer({ grid, values, low, high, title })   a number for each voxel, as colours with a bar
//
// A layer's fields may be changed at any time; `redraw()` of viewer.js then draws all views anew:
//
//   shown     whether it is drawn
//   opacity   of its colours, 0 to 1; null follows the panel's slider
//   onlyOutline  a mask layer that is never filled, shown while the masks are hidden, and told
//                from what lies under it by a dark rim
//   colour    of a mask layer: "#RRGGBB"
//   version   counted up by whoever changes voxels in place; Mask.set() does it by itself
//
// What a view asks of a layer: `touches(plane, slice)`, whether there is anything to draw;
// `paint(plane, slice, pixels)`, the slice as bytes R, G, B, A, row by row from the top left of the
// screen; `appearance`, values of which a change makes it paint anew; `outline`, a function that
// traces what was painted, for layers that the panel's choice of fill, contour or both is for, or
// null; `legend`, what its colour bar says, or null.

function maskLayer({ mask, colour }) {
  return {
    mask,
    colour,
    shown: true,
    opacity: null,
    legend: null,
    get appearance() {
      return [mask, mask.version, this.colour];
    },
    touches: (plane, slice) => mask.touches(plane, slice),
    outline: (plane, pixels, columns, rows) =>
      outlineOf(pixels, columns, rows, mask.extent(plane)),
    paint(plane, slice, pixels) {
      mask.paint(plane, slice, pixels, opaquePixel(this.colour));
    },
  };
}

// values: one for each voxel of the grid, i fastest. The lower, the more transparent, so that the
// scan shows where the map says little. colours: the map from `low` to `high`.
function mapLayer({ grid, values, low, high, title, colours = VIRIDIS }) {
  const table = colourTable(colours);
  return {
    shown: true,
    opacity: 0.8,
    version: 0,
    outline: null,
    legend: { title, low, high, colours },
    get appearance() {
      return [values, this.version];
    },
    touches: () => true,
    paint(plane, slice, pixels) {
      const scale = 255 / Math.max(high - low, Number.EPSILON);
      let cell = 0;
      forEachCell(plane, grid, slice, (offset) => {
        const step = Math.round((values[offset] - low) * scale);
        pixels[cell] = table[Math.min(Math.max(step, 0), 255)];
        cell += 1;
      });
    },
  };
}

// Evenly spaced colours of Matplotlib's viridis: even to the eye, told apart by colour-blind eyes.
const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];

// "#RRGGBB" as the bytes R, G, B, A of a little-endian number.
function opaquePixel(colour) {
  const [red, green, blue] = channelsOf(colour);
  return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
}

function channelsOf(colour) {
  return [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
}

// Colours as bytes R, G, B, A, from transparent to opaque.
function colourTable(colours) {
  const stops = colours.map(channelsOf);
  return Uint32Array.from({ length: 256 }, (_, step) => {
    const place = (step / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    const [red, green, blue] = stops[below].map((channel, index) =>
      Math.round(channel + (place - below) * (stops[below + 1][index] - channel)),
    );
    return ((step << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}

const BAR_WIDTH = 9;
const BAR_SPACE = 58;

// Colour bars stand at the right edge of a view, the first outermost.
function drawColourBars(context, view, legends) {
  const length = Math.min(view.height * 0.45, 220);
  const top = (view.height - length) / 2;
  legends.forEach(({ title, low, high, colours }, place) => {
    // Between it and the edge stand its title and the letter of that side.
    const x = view.width - 52 - place * BAR_SPACE;
    const gradient = context.createLinearGradient(0, top + length, 0, top);
    colours.forEach((colour, index) => gradient.addColorStop(index / (colours.length - 1), colour));
    context.save();
    context.fillStyle = gradient;
    context.fillRect(x, top, BAR_WIDTH, length);
    context.font = "10px system-ui, sans-serif";
    context.textAlign = "right";
    for (const [text, y] of [[numberInWords(high), top + 9], [numberInWords(low), top + length]]) {
      drawHaloed(context, text, x - 5, y);
    }
    context.translate(x + BAR_WIDTH + 12, top + length / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    drawHaloed(context, title, 0, 0);
    context.restore();
  });
}

function numberInWords(value) {
  return String(Number(value.toPrecision(2)));
}

function drawHaloed(context, text, x, y) {
  context.lineWidth = 3;
  context.strokeStyle = "rgba(0, 0, 0, 0.85)";
  context.strokeText(text, x, y);
  context.fillStyle = "#c9d1d9";
  context.fillText(text, x, y);
}
