// Gradients, and what changes the squared norm of the weights, in single updates.
"use strict";
(function (ws) {
  const TERMS = [["change", "solid"], ["weight decay", "solid"], ["along Adam's step", "solid"], ["second order", "solid"], ["rounding", "dot"]];

  ws.figure("gradient", ["component", "steps"], (run, state, look) => {
    const x = ws.steps(state, run.step.values);
    const above = (values) => Array.from(values, (v) => (v > 0 ? v : null)); // zero has no logarithm
    return { data: ws.layerLines(run, look, x, (layer) => above(run.gradient_std.column(layer, state.component))), layout: ws.layout(look, Object.assign(
      { height: 340, xaxis: ws.stepAxis(look, state, run.all_step.values), yaxis: ws.axis(look, "std of the gradient", { type: "log", exponentformat: "power", dtick: 1 }) }, ws.layerLegend(look))) };
  });

  ws.figure("budget", ["component", "layer", "steps"], (run, state, look) => {
    const x = ws.steps(state, run.step.values), colors = [look.ink, look.parts.q, look.parts.k, look.parts.v, look.muted];
    const data = TERMS.map(([name, dash], term) => ({ type: "scatter", mode: "lines", name, x, y: Array.from(run.budget.column(state.layer, state.component, term), (v) => (Number.isFinite(v) ? v : null)),
      line: { width: term ? 1.5 : 2.2, color: colors[term], dash }, hovertemplate: name + ", step %{x:d}: %{y:.3g}<extra></extra>" }));
    return { data, layout: ws.layout(look, { height: 340, xaxis: ws.stepAxis(look, state, run.all_step.values), yaxis: ws.axis(look, "d‖W‖² / ‖W‖² of one update", { exponentformat: "power" }),
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 0, y1: 0, line: { color: look.muted, width: 1, dash: "dot" } }],
      showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } }, margin: { l: 52, r: 14, t: 50, b: 46 } }) };
  });
})(weightscope);
