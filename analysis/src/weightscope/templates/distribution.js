// The histograms of one component of one layer: ridge, heat map, one snapshot against the start.
"use strict";
(function (ws) {
  const RIDGE_ROWS = 24;

  function centres(run) {
    const edge = run.edge.values;
    return Float64Array.from({ length: edge.length - 1 }, (_, i) => (edge[i] + edge[i + 1]) / 2);
  }
  function density(run, row, state) {
    const counts = run.histogram.row(row, state.layer, state.component);
    const edge = run.edge.values;
    const total = run.count.at(state.layer, state.component);
    return Float64Array.from(counts, (n, i) => n / (total * (edge[i + 1] - edge[i])));
  }
  const stepOf = (run, row) => run.all_step.values[run.histogram_row.values[row]];
  function spread(run, state) {
    return ws.highest(run.std.column(state.layer, state.component), 1e-9);
  }
  /** Weights shown: everything on the log scale, which shows the tails; 4 std on the linear one. */
  function reach(run, state) {
    if (state.density === "linear") return 4.2 * spread(run, state);
    const edge = run.edge.values;
    let last = 0;
    for (let row = 0; row < run.histogram.shape[0]; row++) {
      const counts = run.histogram.row(row, state.layer, state.component);
      for (let i = 0; i < counts.length; i++) if (counts[i]) last = Math.max(last, Math.abs(edge[i]), Math.abs(edge[i + 1]));
    }
    return last || spread(run, state);
  }
  const scaled = (values, log) => (log ? values.map((v) => (v > 0 ? Math.log10(v) : NaN)) : values);

  function rowTicks(run) {
    const n = run.histogram.shape[0];
    const every = Math.max(1, Math.ceil(n / 18));
    const rows = Array.from({ length: n }, (_, i) => i).filter((i) => (i % every === 0 && i < n - every / 2) || i === n - 1);
    return { tickvals: rows, ticktext: rows.map((row) => stepOf(run, row).toLocaleString("en")) };
  }
  /** Dark under white dashes: seen on every colour of the map and beside it. */
  const marker = (y) => [{ color: "#1d1e20", width: 1.4 }, { color: "#ffffff", width: 1.4, dash: "6px,6px" }].map((line) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line }));

  function ridge(run, state, look) {
    const n = run.histogram.shape[0];
    const rows = Array.from({ length: Math.min(n, RIDGE_ROWS) }, (_, i) => Math.round((i * (n - 1)) / Math.max(1, Math.min(n, RIDGE_ROWS) - 1)));
    const x = centres(run), log = state.density === "log";
    const curves = rows.map((row) => density(run, row, state));
    const positive = curves.flatMap((c) => Array.from(c).filter((v) => v > 0));
    const top = ws.highest(positive), low = ws.lowest(positive);
    const height = (v) => (log ? (v > 0 ? Math.log10(v / low) / Math.log10(top / low || 10) : 0) : v / top);
    const overlap = rows.length > 1 ? Math.min(5, 1 + rows.length / 5) : 1;
    const data = [];
    curves.forEach((curve, i) => {
      const base = -i;
      const y = Array.from(curve, (v) => base + overlap * height(v));
      const color = look.along(rows.length > 1 ? i / (rows.length - 1) : 0);
      data.push({ type: "scatter", mode: "lines", x: [x[0], x[x.length - 1]], y: [base, base], line: { width: 0.5, color: look.rule }, hoverinfo: "skip" });
      data.push({ type: "scatter", mode: "lines", x: Array.from(x), y, fill: "tonexty", fillcolor: look.paper + "e6", line: { width: 1.4, color }, customdata: Array.from(curve),
        hovertemplate: "step " + stepOf(run, rows[i]) + ", weight %{x:.4f}: density %{customdata:.3g}<extra></extra>" });
    });
    const every = Math.max(1, Math.ceil(rows.length / 16));
    const ticks = rows.map((_, i) => i).filter((i) => (i % every === 0 && i < rows.length - every / 2) || i === rows.length - 1);
    const limit = reach(run, state);
    return { data, layout: ws.layout(look, {
      height: 520, xaxis: ws.axis(look, "weight", { range: [-limit, limit], showgrid: false }),
      yaxis: ws.axis(look, "step", { tickvals: ticks.map((i) => -i), ticktext: ticks.map((i) => stepOf(run, rows[i]).toLocaleString("en")), automargin: true, showgrid: false, showline: false, ticks: "" , range: [-rows.length + 0.3, overlap + 0.2] }),
    }) };
  }

  function heat(run, state, look) {
    const n = run.histogram.shape[0], log = state.density === "log", limit = reach(run, state);
    const z = Array.from({ length: n }, (_, row) => Array.from(scaled(density(run, row, state), log)));
    const data = [{ type: "heatmap", x: Array.from(run.edge.values), y: Array.from({ length: n + 1 }, (_, i) => i - 0.5), z, colorscale: look.scale, hoverongaps: false,
      customdata: z.map((line, row) => line.map(() => stepOf(run, row))), hovertemplate: "step %{customdata}, weight %{x:.4f}: %{z:.3g}<extra></extra>",
      colorbar: { title: { text: log ? "log₁₀ density" : "density", side: "right", font: { size: 11.5, color: look.muted } }, thickness: 10, outlinewidth: 0, tickfont: { size: 11, color: look.muted } } }];
    return { data, layout: ws.layout(look, {
      height: 520, xaxis: ws.axis(look, "weight", { range: [-limit, limit], showgrid: false }),
      yaxis: ws.axis(look, "step", Object.assign({ range: [n - 0.5, -0.5], showgrid: false, automargin: true }, rowTicks(run))), shapes: marker(state.row),
    }) };
  }

  function moments(run, row, state) {
    // Curves may be thinned differently from histograms: take the curve point nearest in step.
    const step = stepOf(run, row), steps = run.step.values;
    let best = 0;
    for (let i = 1; i < steps.length; i++) if (Math.abs(steps[i] - step) < Math.abs(steps[best] - step)) best = i;
    return { step, std: run.std.at(best, state.layer, state.component), kurtosis: run.kurtosis.at(best, state.layer, state.component),
      tail: run.tail_ratio.at(row, state.layer, state.component), displacement: run.displacement.at(best, state.layer, state.component),
      cosine: run.cosine.at(best, state.layer, state.component) };
  }

  function slice(run, state, look) {
    const x = Array.from(centres(run)), log = state.density === "log", limit = reach(run, state), now = moments(run, state.row, state);
    const curve = (row) => Array.from(density(run, row, state), (v) => (log && v <= 0 ? null : v));
    const gauss = Array.from({ length: 241 }, (_, i) => -limit + (i * limit) / 120);
    const normal = gauss.map((w) => Math.exp(-0.5 * (w / now.std) ** 2) / (now.std * Math.sqrt(2 * Math.PI)));
    const line = (name, y, style, at = x) => ({ type: "scatter", mode: "lines", name, x: at, y, line: style, connectgaps: false, hovertemplate: name + ", weight %{x:.4f}: %{y:.3g}<extra></extra>" });
    const data = [
      line("step " + stepOf(run, 0), curve(0), { color: look.muted, width: 1.2 }),
      line("normal, same std", normal, { color: look.parts.k, width: 1.4, dash: "dot" }, gauss),
      line("step " + now.step, curve(state.row), { color: look.parts.q, width: 2.2 }),
    ];
    const shown = [0, state.row].flatMap((row) => curve(row)).filter((v) => v > 0);
    const bounds = log ? { type: "log", range: [Math.log10(ws.lowest(shown)) - 0.3, Math.log10(ws.highest(shown)) + 0.2], exponentformat: "power", dtick: 1 } : { rangemode: "tozero" };
    return { data, layout: ws.layout(look, {
      height: 340, xaxis: ws.axis(look, "weight", { range: [-limit, limit] }), yaxis: ws.axis(look, "density (1 / weight)", bounds),
      showlegend: true, legend: { x: 1, xanchor: "right", y: 1, font: { size: 12 }, bgcolor: "rgba(0,0,0,0)" },
    }) };
  }

  /** The sentence above the figures. */
  ws.sliceText = function (run, state) {
    const now = moments(run, state.row, state), start = moments(run, 0, state);
    const turned = Number.isFinite(now.cosine) ? `, the cosine to the start is ${ws.format(now.cosine, 3)}` : "";
    const moved = Number.isFinite(now.displacement) ? ` They have moved |W−W₀|/|W₀| = ${ws.format(now.displacement)}${turned}.` : "";
    return `${run.meta.components[state.component]} of layer ${state.layer} at step ${now.step}: std ${ws.format(now.std)} (${ws.format(now.std / start.std)} times the start), ` +
      `excess kurtosis ${ws.format(now.kurtosis, 2)}, 99.9 % of the weights within ${ws.format(now.tail)} std.${moved}`;
  };
  ws.stepOf = stepOf;

  ws.figure("ridge", ["component", "layer", "density"], ridge);
  ws.figure("heat", ["component", "layer", "density", "row"], heat);
  ws.figure("slice", ["component", "layer", "density", "row"], slice);
})(weightscope);
