// Reads the embedded data: base64 → gzip → header and typed arrays. One global, `weightscope`.
"use strict";
const weightscope = (window.weightscope = { runs: [], figures: [] });

weightscope.inflate = async function (base64) {
  const text = atob(base64.trim()), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i); // Uint8Array.from takes ten times as long
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
};

/** An array with its shape; at(i, j, …) picks one number, row(i, j, …) the sub-array below these indices. */
class Grid {
  constructor(values, shape) {
    this.values = values;
    this.shape = shape;
    this.strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  }
  offset(index) {
    return index.reduce((sum, i, axis) => sum + i * this.strides[axis], 0);
  }
  at(...index) {
    return this.values[this.offset(index)];
  }
  row(...index) {
    const start = this.offset(index);
    return this.values.subarray(start, start + this.strides[index.length - 1]);
  }
  /** Numbers along the first axis at fixed other indices. */
  column(...index) {
    const start = index.reduce((sum, i, axis) => sum + i * this.strides[axis + 1], 0);
    return Float64Array.from({ length: this.shape[0] }, (_, i) => this.values[start + i * this.strides[0]]);
  }
}

weightscope.decode = function (buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const types = { f: Float32Array, i: Int32Array, u: Uint32Array };
  const run = { meta: header.meta };
  for (const [name, [type, shape, offset]] of Object.entries(header.arrays)) {
    const count = shape.reduce((a, b) => a * b, 1);
    run[name] = new Grid(new types[type](buffer, 4 + length + offset, count), shape);
  }
  return run;
};

/** plotly.js is embedded compressed: 1.9 MB of text instead of 4.8. */
weightscope.loadPlotly = async function () {
  const source = new TextDecoder().decode(await weightscope.inflate(document.getElementById("plotly").textContent));
  const script = document.createElement("script");
  script.textContent = source;
  document.head.appendChild(script);
};

/** Largest and smallest finite number, `otherwise` where there is none beyond it. Math.max(...values) fails for long arrays: each value is an argument. */
weightscope.highest = (values, otherwise = -Infinity) => values.reduce((high, v) => (Number.isFinite(v) && v > high ? v : high), otherwise);
weightscope.lowest = (values, otherwise = Infinity) => values.reduce((low, v) => (Number.isFinite(v) && v < low ? v : low), otherwise);

weightscope.format = function (value, digits = 3) {
  if (!Number.isFinite(value)) return "n/a";
  return Number(value.toPrecision(digits)).toString().replace("-", "−");
};

/** A figure: its name, the controls that it depends on, and draw(run, state, look) → {data, layout}. */
weightscope.figure = function (name, uses, draw) {
  weightscope.figures.push({ name, uses, draw });
};
