// The mask's surface in 3-D, drawn by Plotly; the camera stays where the person put it.

const FIRST_CAMERA = {
  eye: { x: 0.7, y: 1.5, z: 0.7 }, center: { x: 0, y: 0, z: 0 }, up: { x: 0, y: 0, z: 1 },
};

// What an arrow key turns: the camera to the right, and up.
const TURNS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const TURN_STEP = Math.PI / 18;

class SurfaceView {
  constructor(find) {
    this.plot = find("plot");
    this.note = find("plot-note");
    this.library = null;
    // Of the scan whose surface is drawn.
    this.scanId = null;
    new ResizeObserver(() => this.fit()).observe(this.plot);
    this.plot.closest("section").addEventListener("keydown", (event) => {
      const [right, up] = TURNS[event.key] ?? [0, 0];
      if (event.ctrlKey || event.metaKey || event.shiftKey || (!right && !up)) return;
      event.preventDefault();
      this.turn(right, up);
    });
  }

  hide() {
    this.note.hidden = false;
    // Not hidden: without a size Plotly would lay everything out anew when it comes back.
    this.plot.style.visibility = "hidden";
  }

  fit() {
    const { _fullLayout: drawn, clientWidth, clientHeight } = this.plot;
    if (!drawn || clientWidth === 0) return;
    if (drawn.width !== clientWidth || drawn.height !== clientHeight) Plotly.Plots.resize(this.plot);
  }

  // Plotly keeps a turn only if the button is released over the surface, and none by a finger:
  // asked of its scene, the camera is where the person sees it, even in the middle of a turn.
  camera(scanId) {
    const scene = this.plot._fullLayout?.scene._scene;
    return scene && scanId === this.scanId ? scene.getCamera() : FIRST_CAMERA;
  }

  resetCamera() {
    if (this.plot._fullLayout) Plotly.relayout(this.plot, { "scene.camera": FIRST_CAMERA });
  }

  // Steps to the right round the axis from foot to head, and up as far as the poles.
  turn(right, up) {
    if (!this.plot._fullLayout) return;
    const { eye, ...camera } = this.camera(this.scanId);
    const distance = Math.hypot(eye.x, eye.y, eye.z);
    const azimuth = Math.atan2(eye.y, eye.x) + right * TURN_STEP;
    const steepest = Math.PI / 2 - 0.01;
    const wanted = Math.asin(eye.z / distance) + up * TURN_STEP;
    const elevation = Math.min(Math.max(wanted, -steepest), steepest);
    const level = distance * Math.cos(elevation);
    const turned = {
      x: level * Math.cos(azimuth), y: level * Math.sin(azimuth), z: distance * Math.sin(elevation),
    };
    Plotly.relayout(this.plot, { "scene.camera": { ...camera, eye: turned, up: FIRST_CAMERA.up } });
  }

  // surface: vertices and faces as app/measurements.py packs them; url: where Plotly is served.
  async show(surface, colour, scanId, url) {
    const vertices = new Float32Array(bytesOfBase64(surface.vertices).buffer);
    const faces = new Uint32Array(bytesOfBase64(surface.faces).buffer);
    if (faces.length === 0) {
      this.hide();
      return;
    }
    this.note.hidden = true;
    this.plot.style.visibility = "visible";
    this.library ??= loadScript(url);
    await this.library;
    const [x, y, z] = [0, 1, 2].map((axis) => vertices.filter((_, place) => place % 3 === axis));
    const [i, j, k] = [0, 1, 2].map((corner) => faces.filter((_, place) => place % 3 === corner));
    const mesh = {
      type: "mesh3d", x, y, z, i, j, k,
      color: colour, flatshading: false, hoverinfo: "skip",
      lighting: { ambient: 0.55, diffuse: 0.7, specular: 0.15, roughness: 0.7 },
      lightposition: { x: 2000, y: 4000, z: 6000 },
    };
    const letters = letterTrace([x, y, z]);
    const options = { displayModeBar: false };
    const layout = plotLayout(this.camera(scanId));
    this.scanId = scanId;
    await Plotly.react(this.plot, [mesh, letters], layout, options);
  }
}

// R, L, A, P, S, I around the surface, so that it can be told which way it is turned.
function letterTrace(coordinates) {
  const ranges = coordinates.map((values) => {
    const low = values.reduce((a, b) => Math.min(a, b), Infinity);
    const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
    return { low, high, middle: (low + high) / 2 };
  });
  const margin = 0.18 * Math.max(...ranges.map(({ low, high }) => high - low));
  const points = [];
  [["R", "L"], ["A", "P"], ["S", "I"]].forEach(([upper, lower], axis) => {
    const middle = ranges.map((range) => range.middle);
    points.push([upper, middle.with(axis, ranges[axis].high + margin)]);
    points.push([lower, middle.with(axis, ranges[axis].low - margin)]);
  });
  return {
    type: "scatter3d", mode: "text", hoverinfo: "skip",
    text: points.map(([letter]) => letter),
    textfont: { color: "#c9d1d9", size: 12 },
    x: points.map(([, point]) => point[0]),
    y: points.map(([, point]) => point[1]),
    z: points.map(([, point]) => point[2]),
  };
}

function plotLayout(camera) {
  const axis = { visible: false, showspikes: false };
  return {
    margin: { l: 0, r: 0, t: 0, b: 0 },
    paper_bgcolor: "rgba(0, 0, 0, 0)",
    showlegend: false,
    scene: {
      xaxis: axis, yaxis: axis, zaxis: axis,
      aspectmode: "data",
      camera,
      // Plotly's own choice, "turntable", does not follow the mouse in the half second after a
      // drawing, so that every answer to a click would interrupt a turn.
      dragmode: "orbit",
    },
  };
}

function loadScript(url) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = resolve;
    script.onerror = () => reject(new Error("Plotly could not be loaded."));
    document.head.append(script);
  });
}
