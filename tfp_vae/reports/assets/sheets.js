// Sheets of examples: tiles of a sprite, series of numbers, or cells of a table.

class Sheet {
  constructor(record, features, limits) {
    this.record = record;
    this.features = features;
    this.limits = limits;
    this.ready = Promise.resolve();
    if (record.sprite !== null) {
      this.image = new Image();
      this.image.src = record.sprite;
      this.ready = this.image.decode();
    }
  }

  // Show an example in place of the content of an element.
  async show(target, index) {
    target.dataset.index = index;
    if (this.image) {
      await this.ready;
      if (target.dataset.index === String(index)) this.draw(target, index);
    } else {
      target.replaceChildren(this.record.series !== null ? this.line(index) : this.row(index));
    }
  }

  draw(target, index) {
    const { width, height, columns } = this.record;
    let canvas = target.querySelector("canvas");
    if (canvas === null || canvas.width !== width || canvas.height !== height) {
      canvas = make("canvas", { width, height, "aria-hidden": "true" });
      target.replaceChildren(canvas);
    }
    const left = (index % columns) * width, top = Math.floor(index / columns) * height;
    canvas.getContext("2d").drawImage(this.image, left, top, width, height, 0, 0, width, height);
  }

  line(index) {
    const [low, high] = this.limits, values = this.record.series[index];
    const place = (value, i) => `${i / (values.length - 1 || 1) * 100},${2 + 46 * (high - value) / (high - low || 1)}`;
    return make("svg", { viewBox: "0 0 100 50", "aria-hidden": "true" },
      make("polyline", { points: values.map(place).join(" ") }));
  }

  row(index) {
    const cells = this.record.cells[index];
    return make("table", {}, make("tbody", {}, ...this.features.map((feature, i) =>
      make("tr", {}, make("th", { scope: "row" }, feature), make("td", {}, cells[i] === "" ? "missing" : cells[i])))));
  }
}

// The lowest and the highest value of all series of some records, so that their lines can be compared.
function limitsOf(...records) {
  let low = Infinity, high = -Infinity;
  for (const record of records) {
    for (const series of record?.series ?? []) {
      for (const value of series) { low = Math.min(low, value); high = Math.max(high, value); }
    }
  }
  return [low, high];
}
