// Learning curves whose values can be read, with the pointer or the arrow keys.

const CURVES = [["train", "#0072b2", "#56b4e9", []], ["validation", "#d55e00", "#e69f00", [6, 4]]];

function swatch(color, dash) {
  return make("svg", { viewBox: "0 0 24 8", "aria-hidden": "true" },
    make("path", { d: "M0 4H24", stroke: color, "stroke-width": 3, "stroke-dasharray": dash.join(" ") || "none" }));
}

function drawCurve(element, curves, sync) {
  const term = element.dataset.term, readout = element.querySelector(".readout");
  const values = [curves.epoch, curves[term], curves[`validation_${term}`]];
  const size = () => ({ width: Math.max(180, element.clientWidth - 16), height: 200 });
  const ink = i => CURVES[i][dark.matches ? 2 : 1];
  const axis = { stroke: () => variable("--quiet"), grid: { stroke: () => variable("--line"), width: 1 },
    ticks: { stroke: () => variable("--line"), width: 1 }, font: "12px system-ui" };
  const read = index => {
    const i = index ?? curves.epoch.length - 1;
    readout.replaceChildren(`Epoch ${curves.epoch[i]}: `,
      ...CURVES.flatMap(([name, , , dash], k) => [k ? ", " : "", swatch(ink(k), dash), `${name} ${text(values[k + 1][i])}`]));
  };
  const plot = new uPlot({
    ...size(),
    padding: [8, 8, 0, 0],
    cursor: { drag: { x: false, y: false }, y: false, sync: { key: sync } },
    scales: { x: { time: false } },
    axes: [{ ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] }, { ...axis, size: 56 }],
    series: [{}, ...CURVES.map(([label, , , dash], i) => (
      { label, stroke: () => ink(i), width: 2, dash, points: { show: curves.epoch.length < 2 } }))],
    hooks: { setCursor: [u => read(u.cursor.idx)] },
  }, values, element);
  read(null);
  element.addEventListener("keydown", event => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const last = curves.epoch.length - 1, i = clamp((plot.cursor.idx ?? last) + move, 0, last);
    plot.setCursor({ left: plot.valToPos(curves.epoch[i], "x"), top: 0 });
  });
  new ResizeObserver(() => { if (size().width !== plot.width) plot.setSize(size()); }).observe(element);
  dark.addEventListener("change", () => { plot.redraw(); read(plot.cursor.idx); });
}
