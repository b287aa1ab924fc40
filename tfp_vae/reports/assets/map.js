// The map of latent space: test examples, and the decoded example at the place nearest to the pointer.

const Y_AXIS = 62, X_AXIS = 52, ROOM = 8, STRIDE = 5;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

function circle(context, x, y, radius) {
  context.moveTo(x + radius, y);
  context.arc(x, y, radius, 0, 2 * Math.PI);
}

function triangle(context, x, y, radius) {
  context.moveTo(x, y - 1.2 * radius);
  context.lineTo(x + 1.1 * radius, y + 0.8 * radius);
  context.lineTo(x - 1.1 * radius, y + 0.8 * radius);
  context.closePath();
}

class LatentMap {
  constructor(element, explorer, decoded, examples) {
    this.element = element;
    this.map = explorer.map;
    this.points = explorer.points;
    this.classes = explorer.classes;
    this.decoded = decoded;
    this.examples = examples;
    this.cross = make("div", { class: "cross" });
    this.ring = make("div", { class: "ring" });
    this.plot = new uPlot(this.options(), this.corners(), element);
    this.plot.over.append(this.ring, this.cross);
    this.listen();
    this.go(Math.floor(this.map.columns / 2), Math.floor(this.map.rows / 2));
  }

  corners() {
    return [[this.map.low[0], this.map.high[0]], [this.map.low[1], this.map.high[1]]];
  }

  size() {
    const width = Math.max(200, this.element.clientWidth - 2 * ROOM);
    return { width, height: this.map.rows === 1 ? Math.min(width, 320) : width - Y_AXIS + X_AXIS };
  }

  options() {
    const { low, high, axes } = this.map;
    const axis = { stroke: () => variable("--quiet"), grid: { stroke: () => variable("--line"), width: 1 },
      ticks: { stroke: () => variable("--line"), width: 1 }, font: "12px system-ui", labelFont: "13px system-ui", labelSize: 18 };
    return {
      ...this.size(),
      padding: [ROOM, ROOM, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false, range: () => [low[0], high[0]] }, y: { range: () => [low[1], high[1]] } },
      axes: [{ ...axis, label: axes[0], size: X_AXIS - 18 }, { ...axis, label: axes[1], size: Y_AXIS - 18 }],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [plot => this.drawPoints(plot)] },
    };
  }

  drawPoints(plot) {
    const { x, y, labels } = this.points, context = plot.ctx, box = plot.bbox;
    const radius = (x.length < 500 ? 3.5 : 2.5) * devicePixelRatio;
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.width, box.height);
    context.clip();
    context.globalAlpha = 0.75;
    for (let each = 0; each < Math.max(1, this.classes.length); each++) {
      context.fillStyle = visible(this.classes[each]?.color ?? "#0072b2");
      context.beginPath();
      for (let i = 0; i < x.length; i++) {
        if (labels !== null && labels[i] !== each) continue;
        const mark = each < 10 ? circle : triangle;
        mark(context, plot.valToPos(x[i], "x", true), plot.valToPos(y[i], "y", true), radius);
      }
      context.fill();
    }
    context.restore();
  }

  listen() {
    const over = this.plot.over;
    const point = event => {
      const box = over.getBoundingClientRect();
      this.point(this.plot.posToVal(event.clientX - box.left, "x"), this.plot.posToVal(event.clientY - box.top, "y"));
    };
    over.addEventListener("pointermove", point);
    over.addEventListener("pointerdown", point);
    this.element.addEventListener("keydown", event => this.step(event));
    new ResizeObserver(() => {
      const size = this.size();
      if (size.width !== this.plot.width) this.plot.setSize(size);
      this.mark();
    }).observe(this.element);
    dark.addEventListener("change", () => this.plot.redraw());
  }

  step(event) {
    const move = STEPS[event.key];
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const stride = event.shiftKey ? STRIDE : 1;
    this.go(clamp(this.column + stride * move[0], 0, this.map.columns - 1),
      clamp(this.row + stride * move[1], 0, this.map.rows - 1));
    document.getElementById("said").textContent = this.facts().map(([name, value]) => `${name} ${value}`).join(", ");
  }

  // The value of an axis at a place of the grid, and the place nearest to a value.
  value(axis, place, count) {
    const low = this.map.low[axis], high = this.map.high[axis];
    return count === 1 ? (low + high) / 2 : low + place * (high - low) / (count - 1);
  }

  place(axis, value, count) {
    const low = this.map.low[axis], high = this.map.high[axis];
    return clamp(Math.round((value - low) / (high - low) * (count - 1)), 0, count - 1);
  }

  go(column, row) {
    this.show(column, row, this.value(0, column, this.map.columns), this.value(1, row, this.map.rows));
  }

  point(x, y) {
    this.show(this.place(0, x, this.map.columns), this.place(1, y, this.map.rows), x, y);
  }

  show(column, row, x, y) {
    Object.assign(this, { column, row, nearest: this.nearestTo(x, y) });
    this.decoded.show(document.getElementById("decoded"), row * this.map.columns + column);
    this.examples.show(document.getElementById("nearest"), this.nearest);
    document.getElementById("where").replaceChildren(
      ...this.facts().flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
    this.mark();
  }

  nearestTo(x, y) {
    let best = 0, least = Infinity;
    for (let i = 0; i < this.points.x.length; i++) {
      const across = this.points.x[i] - x, up = this.map.rows === 1 ? 0 : this.points.y[i] - y;
      const distance = across * across + up * up;
      if (distance < least) { least = distance; best = i; }
    }
    return best;
  }

  facts() {
    const { names, labels, log_px } = this.points, { axes, rows, columns } = this.map, i = this.nearest;
    const places = [[axes[0], text(this.value(0, this.column, columns))]];
    if (rows > 1) places.push([axes[1], text(this.value(1, this.row, rows))]);
    const named = labels === null ? [] : [["class", this.classes[labels[i]].name]];
    return [...places, ["nearest", names[i]], ...named, ["log p(x)", `${text(log_px[i])} nats`]];
  }

  mark() {
    const { map, plot, points, nearest } = this;
    const move = (mark, x, y) => {
      mark.style.left = `${plot.valToPos(x, "x")}px`;
      mark.style.top = `${plot.valToPos(y, "y")}px`;
    };
    move(this.cross, this.value(0, this.column, map.columns), this.value(1, this.row, map.rows));
    move(this.ring, points.x[nearest], points.y[nearest]);
  }
}

function drawLegend(target, classes) {
  const draw = () => target.replaceChildren(...classes.map(({ name, color }, i) => make("li", {},
    make("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" },
      make("path", { fill: visible(color), d: i < 10 ? "M0 5a5 5 0 1 1 10 0a5 5 0 1 1-10 0" : "M5 0L10 9H0Z" })), name)));
  draw();
  dark.addEventListener("change", draw);
}
