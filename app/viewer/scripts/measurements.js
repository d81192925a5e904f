// What the active object measures, and the chart of its volume over the rounds.

class Measurements {
  // find(role): the element of that role. goTo(voxel): moves the crosshair.
  constructor(find, goTo) {
    this.find = find;
    this.show = find("diameters");
    this.show.onclick = () => this.middle && goTo(this.middle);
    this.scanShown();
  }

  scanShown() {
    this.middle = null;
    for (const role of ["components", "mean", "clicks-used"]) this.find(role).textContent = "–";
    this.show.textContent = "–";
    this.show.disabled = true;
    this.find("history").replaceChildren();
  }

  detailed({ objects, history }, active) {
    const found = objects.find(({ id }) => id === active);
    if (!found) return;
    const { longest, perpendicular, ends, slice } = found;
    this.middle = longest === null ? null : middleOf(ends[0], slice);
    this.show.disabled = longest === null;
    this.show.textContent =
      longest === null ? "–" : longest.toFixed(1) + " × " + perpendicular.toFixed(1) + " mm";
    this.find("components").textContent = found.components;
    this.find("mean").textContent = found.intensity === null ? "–" : Number(found.intensity.toPrecision(4));
    this.find("clicks-used").textContent = found.clicks;
    this.find("history").replaceChildren(...historyChart(history));
  }
}

// The voxel halfway between two points (i, j) of an axial slice.
function middleOf([first, second], slice) {
  return [...first.map((place, axis) => Math.round((place + second[axis]) / 2)), slice];
}

// In CSS pixels; it is as wide as the panel.
const CHART = { height: 56, top: 14, bottom: 13 };

// rounds: clicks and millilitres after each. Nothing while there is only the start.
function historyChart(rounds) {
  if (rounds.length < 2) return [];
  const { height, top, bottom } = CHART;
  const most = Math.max(...rounds.map(({ millilitres }) => millilitres), Number.EPSILON);
  const points = rounds.map(({ clicks, millilitres }, place) => ({
    x: (100 * place) / (rounds.length - 1) + "%",
    y: height - bottom - (millilitres / most) * (height - top - bottom),
    words: (clicks === 1 ? "1 click" : clicks + " clicks") + ": " + inMillilitres(millilitres),
  }));
  const chart = drawn("svg", { role: "img" });
  chart.setAttribute("aria-label", "Volume after each step, now " + inMillilitres(rounds.at(-1).millilitres));
  const base = height - bottom;
  chart.append(
    drawn("line", { x1: 0, x2: "100%", y1: base, y2: base, class: "cs-axis" }),
    ...points.slice(1).map(({ x, y }, before) => {
      const { x: x1, y: y1 } = points[before];
      return drawn("line", { x1, y1, x2: x, y2: y, class: "cs-curve" });
    }),
    ...points.map(({ x, y, words }) => {
      const dot = drawn("circle", { cx: x, cy: y, r: 2.5 });
      const title = drawn("title", {});
      title.textContent = words;
      dot.append(title);
      return dot;
    }),
    worded(0, top - 5, "start", inMillilitres(most)),
    worded(0, height - 3, "start", "start"),
    worded("100%", height - 3, "end", points.at(-1).words),
  );
  const heading = node("h3", "Volume over clicks");
  return [heading, chart];
}

function drawn(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function worded(x, y, anchor, text) {
  const made = drawn("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}
