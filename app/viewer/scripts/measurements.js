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

const CHART = { width: 264, height: 84, left: 6, right: 6, top: 14, bottom: 16 };

// rounds: clicks and millilitres after each. Nothing while there is only the start.
function historyChart(rounds) {
  if (rounds.length < 2) return [];
  const { width, height, left, right, top, bottom } = CHART;
  const most = Math.max(...rounds.map(({ millilitres }) => millilitres), Number.EPSILON);
  const points = rounds.map(({ clicks, millilitres }, place) => ({
    x: left + (place / (rounds.length - 1)) * (width - left - right),
    y: height - bottom - (millilitres / most) * (height - top - bottom),
    words: (clicks === 1 ? "1 click" : clicks + " clicks") + ": " + inMillilitres(millilitres),
  }));
  const chart = drawn("svg", { viewBox: "0 0 " + width + " " + height, role: "img" });
  chart.setAttribute("aria-label", "Volume after each step, now " + inMillilitres(rounds.at(-1).millilitres));
  const base = height - bottom;
  chart.append(
    drawn("line", { x1: left, x2: width - right, y1: base, y2: base, class: "cs-axis" }),
    drawn("polyline", { points: points.map(({ x, y }) => x + "," + y).join(" ") }),
    ...points.map(({ x, y, words }) => {
      const dot = drawn("circle", { cx: x, cy: y, r: 2.5 });
      const title = drawn("title", {});
      title.textContent = words;
      dot.append(title);
      return dot;
    }),
    worded(left, top - 5, "start", inMillilitres(most)),
    worded(left, height - 4, "start", "start"),
    worded(width - right, height - 4, "end", points.at(-1).words),
  );
  const heading = node("h3", "Volume over clicks");
  return [heading, chart];
}

function inMillilitres(millilitres) {
  return millilitres.toFixed(millilitres < 10 ? 2 : 1) + " mL";
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
