// Learning curves whose values can be read, with the pointer or the arrow keys.

function swatch(color, dash) {
  return make("svg", { viewBox: "0 0 24 8", "aria-hidden": "true" },
    make("path", { d: "M0 4H24", stroke: color, "stroke-width": 3, "stroke-dasharray": dash.join(" ") || "none" }));
}

function drawCurve(element, curves, sync) {
  const chart = curves.charts[element.dataset.term], readout = element.querySelector(".readout");
  const size = () => ({ width: Math.max(180, element.clientWidth - 16), height: 200 });
  const axis = { stroke: () => variable("--quiet"), grid: { stroke: () => variable("--line"), width: 1 },
    ticks: { stroke: () => variable("--line"), width: 1 }, font: "12px system-ui" };
  const value = (values, i) => {
    const last = values.findLastIndex(each => each !== null);
    if (values[i] !== null) return text(values[i]);
    return last < 0 || i < last ? "none" : `${text(values[last])} (epoch ${curves.epoch[last]})`;
  };
  const read = index => {
    const i = index ?? curves.epoch.length - 1;
    readout.replaceChildren(`Epoch ${curves.epoch[i]}: `,
      ...chart.flatMap(({ name, color, dash, values }, k) => [
        k ? ", " : "", swatch(visible(color), dash), `${name} ${value(values, i)}`]));
  };
  const plot = new uPlot({
    ...size(),
    padding: [8, 8, 0, 0],
    cursor: { drag: { x: false, y: false }, y: false, sync: { key: sync } },
    scales: { x: { time: false } },
    axes: [{ ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] }, { ...axis, size: 56 }],
    series: [{}, ...chart.map(({ name, color, dash }) => (
      { label: name, stroke: () => visible(color), width: 2, dash, points: { show: curves.epoch.length < 2 } }))],
    hooks: { setCursor: [u => read(u.cursor.idx)] },
  }, [curves.epoch, ...chart.map(({ values }) => values)], element);
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
