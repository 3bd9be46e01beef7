// The comparison: the same figure over all runs. One colour per group; with a single group, one per run.
"use strict";
(function (ws) {
  const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#1d1e20", "#e69f00"];
  const DARK = ["#56b4e9", "#e69f00", "#2fc79a", "#d9a0c4", "#f0e442", "#4a9bd4", "#e6e4df", "#e8743b"];
  const DASHES = ["solid", "dash", "dot", "dashdot"];
  /** Colour and, past eight, dash: never colour alone. */
  ws.stroke = (look, i, width = 1.6) => ({ color: (look.dark ? DARK : LIGHT)[i % 8], dash: DASHES[Math.floor(i / 8) % 4], width });
  ws.legendAbove = { showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } }, margin: { l: 68, r: 20, t: 40, b: 46 } };

  /** How a run is drawn and where it stands in the legend: its group's name, once, where there are several groups. */
  function identity(all, run, i, look, seen) {
    if (run.meta.group < 0) return { name: run.meta.label + " (left out)", line: { color: look.muted, dash: "dot", width: 1.2 }, marker: { size: 4 } };
    if (all.groups.length < 2) return { name: run.meta.label, line: ws.stroke(look, i), marker: { size: 6 } };
    const group = run.meta.group, first = !seen.has(group);
    seen.add(group);
    return { name: all.groups[group].meta.label, legendgroup: String(group), showlegend: first, line: ws.stroke(look, group, 1), marker: { size: 4 } };
  }

  function overlay(all, state, look, curve, title, more) {
    const seen = new Set();
    const data = all.runs.flatMap((run, i) => {
      const { x, y } = curve(run);
      return x ? [Object.assign({ type: "scatter", mode: "lines", x: ws.steps(state, x), y, hovertemplate: run.meta.label + ", step %{x:d}: %{y:.4g}<extra></extra>" }, identity(all, run, i, look, seen))] : [];
    });
    const steps = [Math.max(...all.runs.map((run) => run.step.values[run.step.values.length - 1]))];
    return { data, layout: ws.layout(look, Object.assign({ height: 360, xaxis: ws.stepAxis(look, state, steps), yaxis: ws.axis(look, title, more) }, ws.legendAbove)) };
  }

  ws.figure("std", ["component", "layer", "steps"], (all, state, look) =>
    overlay(all, state, look, (run) => (state.layer < run.meta.layers ? { x: run.step.values, y: run.std.column(state.layer, state.component) } : {}), `std of ${all.runs[0].meta.components[state.component]}, layer ${state.layer}`));
  ws.figure("loss", ["steps"], (all, state, look) =>
    overlay(all, state, look, (run) => (run.train_step ? { x: run.train_step.values, y: Array.from(run.train_smooth.values) } : {}), "training loss (nats per token)"));
  ws.figure("val", ["steps"], (all, state, look) =>
    overlay(all, state, look, (run) => (run.eval_step ? { x: run.eval_step.values, y: Array.from(run.eval_loss.values) } : {}), "validation loss (nats per token)"));

  ws.figure("growth", ["component"], (all, state, look) => {
    const seen = new Set();
    const data = all.runs.map((run, i) => {
      const layers = Array.from({ length: run.meta.layers }, (_, layer) => layer), last = run.std.shape[0] - 1;
      return Object.assign({ type: "scatter", mode: "lines+markers", x: layers, y: layers.map((layer) => run.std.at(last, layer, state.component) / run.std.at(0, layer, state.component)),
        hovertemplate: run.meta.label + ", layer %{x}: %{y:.4g}<extra></extra>" }, identity(all, run, i, look, seen));
    });
    return { data, layout: ws.layout(look, Object.assign({ height: 360, xaxis: ws.axis(look, "layer (0 is next to the embedding)", { dtick: 1 }), yaxis: ws.axis(look, "std(t) / std(0)") }, ws.legendAbove)) };
  });
})(weightscope);
