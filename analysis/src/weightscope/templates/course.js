// Width, growth, tails, heads and updates.
"use strict";
(function (ws) {
  const EXAMINED = [["q", 1, "circle", "Q"], ["k", 2, "square", "K"], ["v", 3, "diamond", "V"], ["c_attn", 0, "cross", "fused"]];
  const MATRIX = [0, 0, 0, 0, 1, 2, 3]; // component → matrix of update_matrix
  const MATRIX_NAMES = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];

  function lines(run, state, look, columnOf, title, more) {
    const x = ws.steps(state, run.step.values);
    return { data: ws.layerLines(run, look, x, columnOf), layout: ws.layout(look, Object.assign(
      { height: 340, xaxis: ws.stepAxis(look, state, run.all_step.values), yaxis: ws.axis(look, title, more) }, ws.layerLegend(look))) };
  }

  /** A line that is theory and not a layer. */
  const theory = (name, x, y, look, dash) => ({ type: "scatter", mode: "lines", name, x, y: Array.from(y), line: { width: 2, color: look.ink, dash }, hovertemplate: name + ", step %{x:d}: %{y:.4g}<extra></extra>" });

  ws.figure("std", ["component", "steps"], (run, state, look) => {
    const figure = lines(run, state, look, (layer) => run.std.column(layer, state.component), "std of " + run.meta.components[state.component], { rangemode: "tozero" });
    if (!run.random_rms) return figure;
    const random = run.random_rms.column(state.component), x = ws.steps(state, run.step.values);
    // The equilibrium may lie far above all that happened: it must not flatten the rest.
    const top = [...figure.data.map((trace) => trace.y), random].reduce((high, y) => ws.highest(y, high), 0);
    figure.layout.yaxis.range = [0, 1.08 * top || 1];
    figure.data.push(theory("AdamW, random", x, random, look, "dash"));
    if (run.equilibrium) figure.data.push(theory("equilibrium", x, run.equilibrium.values, look, "dot"));
    return figure;
  });

  ws.figure("kurtosis", ["component", "steps"], (run, state, look) => {
    const figure = lines(run, state, look, (layer) => run.kurtosis.column(layer, state.component), "excess kurtosis");
    figure.layout.shapes = [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 0, y1: 0, line: { color: look.muted, width: 1, dash: "dot" } }];
    return figure;
  });

  ws.figure("tailratio", ["component", "steps"], (run, state, look) => {
    const x = ws.steps(state, Array.from({ length: run.tail_ratio.shape[0] }, (_, row) => ws.stepOf(run, row)));
    return { data: ws.layerLines(run, look, x, (layer) => run.tail_ratio.column(layer, state.component)), layout: ws.layout(look, Object.assign(
      { height: 340, xaxis: ws.stepAxis(look, state, run.all_step.values), yaxis: ws.axis(look, "99.9 % quantile of |w| / std"),
        shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 3.29, y1: 3.29, line: { color: look.muted, width: 1, dash: "dot" } }] }, ws.layerLegend(look))) };
  });

  /** One line of points over the layers for Q, K, V and the fused matrix, and the chosen component if it is another. */
  function byDepth(run, state, look, valueOf, errorOf, title, more) {
    const shown = EXAMINED.slice();
    if (state.component > 3) shown.push([null, state.component, "star", run.meta.components[state.component]]);
    const layers = Array.from({ length: run.meta.layers }, (_, i) => i);
    const data = shown.map(([key, component, symbol, name]) => {
      const color = key ? look.parts[key] : look.muted;
      const trace = { type: "scatter", mode: "lines+markers", name, x: layers, y: layers.map((l) => valueOf(l, component)), line: { width: 1.3, color, dash: key === "c_attn" ? "dot" : "solid" },
        marker: { size: 8, symbol, color }, hovertemplate: name + ", layer %{x}: %{y:.4g}<extra></extra>" };
      if (errorOf) trace.error_y = { array: layers.map((l) => errorOf(l, component)), thickness: 1.2, width: 3, color };
      return trace;
    });
    return { data, layout: ws.layout(look, { height: 340, xaxis: ws.axis(look, "layer (0 is next to the embedding)", { dtick: run.meta.layers > 16 ? 4 : 1 }), yaxis: ws.axis(look, title, more),
      showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } }, margin: { l: 68, r: 20, t: 34, b: 46 } }) };
  }

  ws.figure("growth", ["component"], (run, state, look) => {
    const last = run.std.shape[0] - 1;
    const growth = (layer, c) => run.std.at(last, layer, c) / run.std.at(0, layer, c);
    const error = (layer, c) => 1.96 * growth(layer, c) * Math.hypot(run.std_error.at(0, layer, c) / run.std.at(0, layer, c), run.std_error.at(1, layer, c) / run.std.at(last, layer, c));
    return byDepth(run, state, look, growth, error, "std(t) / std(0)");
  });

  ws.figure("displacement", ["component"], (run, state, look) =>
    byDepth(run, state, look, (layer, c) => run.displacement.at(run.displacement.shape[0] - 1, layer, c), null, "|W − W₀| / |W₀|", { rangemode: "tozero" }));

  ws.figure("heads", ["row"], (run, state, look) => {
    const [, layers, , heads] = run.head_std.shape;
    const shown = run.head_std.row(state.row), high = ws.highest(shown, 0), low = ws.lowest(shown, high); // a head that is not finite must not decide about the others' colours
    const index = Array.from({ length: layers }, (_, i) => i);
    const layout = ws.layout(look, { height: Math.max(260, 110 + 24 * layers), margin: { l: 68, r: 20, t: 34, b: 46 }, annotations: [] });
    const data = ["Q", "K", "V"].map((name, part) => {
      const tag = part ? String(part + 1) : "", width = 0.29, start = part * 0.335;
      layout["xaxis" + tag] = ws.axis(look, "head", { domain: [start, start + width], anchor: "y" + tag, dtick: heads > 16 ? 4 : 1, showgrid: false, showline: false, ticks: "" });
      layout["yaxis" + tag] = ws.axis(look, part ? "" : "layer", { anchor: "x" + tag, dtick: layers > 16 ? 4 : 1, autorange: "reversed", showgrid: false, showline: false, ticks: "", showticklabels: !part });
      layout.annotations.push({ text: name, x: start + width / 2, xref: "paper", y: 1, yref: "paper", yanchor: "bottom", showarrow: false, font: { size: 13 } });
      return { type: "heatmap", xaxis: "x" + tag, yaxis: "y" + tag, zmin: low, zmax: high, xgap: 1, ygap: 1, colorscale: look.scale, showscale: part === 2,
        z: index.map((layer) => Array.from(run.head_std.row(state.row, layer, part))), hovertemplate: name + " of layer %{y}, head %{x}: std %{z:.4g}<extra></extra>",
        colorbar: { thickness: 10, outlinewidth: 0, title: { text: "std", font: { size: 11.5, color: look.muted } }, tickfont: { size: 11, color: look.muted } } };
    });
    return { data, layout };
  });

  ws.figure("updates", ["component", "steps"], (run, state, look) => {
    const matrix = MATRIX[state.component], x = ws.steps(state, run.step.values);
    const data = ws.layerLines(run, look, x, (layer) => run.update_matrix.column(layer, matrix));
    ["wte", "wpe"].forEach((name, i) => data.push({ type: "scatter", mode: "lines", name, x, y: run.update_embedding.column(i), line: { width: 1.2, dash: i ? "dash" : "dashdot", color: look.parts.k },
      hovertemplate: name + ", step %{x:d}: %{y:.3g}<extra></extra>" }));
    if (run.rotation) data.push(theory("equilibrium", x, Array.from(run.rotation.values, (v) => (v > 0 ? v : null)), look, "longdash"));
    return { data, layout: ws.layout(look, Object.assign({ height: 340, xaxis: ws.stepAxis(look, state, run.all_step.values),
      yaxis: ws.axis(look, "|Δw| / |w| of " + MATRIX_NAMES[matrix], { type: "log", exponentformat: "power", dtick: 1 }),
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 1e-3, y1: 1e-3, line: { color: look.muted, width: 1, dash: "dot" } }] }, ws.layerLegend(look))) };
  });
})(weightscope);
