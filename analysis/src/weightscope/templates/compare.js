// The comparison: the same figure over all runs, one colour per run.
"use strict";
(function (ws) {
  const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#1d1e20", "#e69f00"];
  const DARK = ["#56b4e9", "#e69f00", "#2fc79a", "#d9a0c4", "#f0e442", "#4a9bd4", "#e6e4df", "#e8743b"];
  const DASHES = ["solid", "dash", "dot", "dashdot"];
  /** Colour and, past eight runs, dash: never colour alone. */
  const stroke = (look, i) => ({ color: (look.dark ? DARK : LIGHT)[i % 8], dash: DASHES[Math.floor(i / 8) % 4], width: 1.6 });
  const legend = { showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } }, margin: { l: 56, r: 14, t: 40, b: 46 } };

  function overlay(runs, state, look, curve, title, more) {
    const data = runs.flatMap((run, i) => {
      const { x, y } = curve(run);
      return x ? [{ type: "scatter", mode: "lines", name: run.meta.label, x: ws.steps(state, x), y, line: stroke(look, i), hovertemplate: run.meta.label + ", step %{x:d}: %{y:.4g}<extra></extra>" }] : [];
    });
    const steps = [Math.max(...runs.map((run) => run.step.values[run.step.values.length - 1]))];
    return { data, layout: ws.layout(look, Object.assign({ height: 360, xaxis: ws.stepAxis(look, state, steps), yaxis: ws.axis(look, title, more) }, legend)) };
  }

  const layerOf = (run, state) => Math.min(state.layer, run.meta.layers - 1);
  ws.figure("std", ["component", "layer", "steps"], (runs, state, look) =>
    overlay(runs, state, look, (run) => ({ x: run.step.values, y: run.std.column(layerOf(run, state), state.component) }), `std of ${runs[0].meta.components[state.component]}, layer ${state.layer}`));
  ws.figure("loss", ["steps"], (runs, state, look) =>
    overlay(runs, state, look, (run) => (run.train_step ? { x: run.train_step.values, y: Array.from(run.train_smooth.values) } : {}), "training loss (nats per token)"));
  ws.figure("val", ["steps"], (runs, state, look) =>
    overlay(runs, state, look, (run) => (run.eval_step ? { x: run.eval_step.values, y: Array.from(run.eval_loss.values) } : {}), "validation loss (nats per token)"));

  ws.figure("growth", ["component"], (runs, state, look) => {
    const data = runs.map((run, i) => {
      const layers = Array.from({ length: run.meta.layers }, (_, layer) => layer), last = run.std.shape[0] - 1;
      return { type: "scatter", mode: "lines+markers", name: run.meta.label, x: layers, y: layers.map((layer) => run.std.at(last, layer, state.component) / run.std.at(0, layer, state.component)),
        line: stroke(look, i), marker: { size: 6 }, hovertemplate: run.meta.label + ", layer %{x}: %{y:.4g}<extra></extra>" };
    });
    return { data, layout: ws.layout(look, Object.assign({ height: 360, xaxis: ws.axis(look, "layer (0 is next to the embedding)", { dtick: 1 }), yaxis: ws.axis(look, "std(t) / std(0)") }, legend)) };
  });

  ws.started = ws.start(async () => {
    const runs = [];
    for (const script of document.querySelectorAll("script.payload")) runs.push(ws.decode(await ws.inflate(script.textContent)));
    ws.view = new ws.View(document.querySelector("main"), runs, { component: 1, layer: 0, steps: "linear" });
    await ws.view.drawAll();
  });
})(weightscope);
