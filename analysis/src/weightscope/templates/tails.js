// Mass beyond fixed thresholds, Hill index and Weibull shape, from the embedded histograms' snapshots.
"use strict";
(function (ws) {
  const SIGMAS = [["3 σ", "q", "circle"], ["4 σ", "k", "square"], ["6 σ", "v", "diamond"]];
  const NORMAL = { hill: 9.004, weibull: 1.2054 }; // of a normal distribution
  const stepsOf = (run) => Array.from({ length: run.hill.shape[0] }, (_, row) => ws.stepOf(run, row));

  ws.figure("tailmass", ["component", "layer", "steps"], (run, state, look) => {
    const x = ws.steps(state, stepsOf(run)), data = [];
    const above = (values) => Array.from(values, (v) => (v > 0 ? v : null)); // zero has no logarithm
    SIGMAS.forEach(([name, part, symbol], i) => {
      const of = (grid) => above(grid.column(state.layer, state.component, i));
      const color = look.parts[part], low = of(run.tail_mass_low), high = of(run.tail_mass_high), mass = of(run.tail_mass);
      const edge = { type: "scatter", mode: "lines", x, line: { width: 0 }, hoverinfo: "skip", showlegend: false };
      // Where the lower end is zero the band reaches below everything that is drawn.
      data.push({ ...edge, y: high.map((v, row) => (v === null ? null : low[row] ?? v * 1e-3)) }, { ...edge, y: high, fill: "tonexty", fillcolor: color + "2e" });
      data.push({ type: "scatter", mode: "lines+markers", name, x, y: mass, line: { width: 1.7, color }, marker: { size: 5, symbol, color }, connectgaps: false,
        hovertemplate: "beyond " + name + ", step %{x:d}: %{y:.3g}<extra></extra>" });
    });
    const shown = data.filter((trace) => trace.name).flatMap((trace) => trace.y).filter((v) => v > 0);
    const bottom = Math.log10(shown.length ? ws.lowest(shown) : 1e-6), top = Math.log10(shown.length ? ws.highest(shown) : 1);
    return { data, layout: ws.layout(look, { height: 340, xaxis: ws.stepAxis(look, state, run.all_step.values),
      yaxis: ws.axis(look, "share of the weights", { type: "log", exponentformat: "power", dtick: 1, range: [bottom - 0.4, Math.min(0, top + 0.4)] }),
      showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } }, margin: { l: 68, r: 20, t: 34, b: 46 } }) };
  });

  function byLayer(grid, title, normal) {
    return (run, state, look) => ({
      data: ws.layerLines(run, look, ws.steps(state, stepsOf(run)), (layer) => run[grid].column(layer, state.component)),
      layout: ws.layout(look, Object.assign({ height: 340, xaxis: ws.stepAxis(look, state, run.all_step.values), yaxis: ws.axis(look, title),
        shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: normal, y1: normal, line: { color: look.muted, width: 1, dash: "dot" } }] }, ws.layerLegend(look))),
    });
  }
  ws.figure("hill", ["component", "steps"], byLayer("hill", "Hill index", NORMAL.hill));
  ws.figure("weibull", ["component", "steps"], byLayer("weibull_k", "Weibull shape k", NORMAL.weibull));
})(weightscope);
