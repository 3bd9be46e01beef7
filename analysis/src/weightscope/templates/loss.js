// Training and validation loss in the chosen unit, with the alarms of the run.
"use strict";
(function (ws) {
  const UNITS = {
    nats: { of: (v) => v, title: "loss (nats per token)" },
    perplexity: { of: Math.exp, title: "perplexity", axis: { type: "log" } },
    bits: { of: (v) => v / Math.LN2, title: "bits per byte" },
  };
  ws.figure("loss", ["unit", "steps"], (run, state, look) => {
    const unit = UNITS[state.unit], data = [];
    const values = (grid) => Array.from(grid.values, unit.of);
    if (run.train_step) {
      const x = ws.steps(state, run.train_step.values);
      data.push({ type: "scatter", mode: "lines", name: "each step", x, y: values(run.train_loss), line: { width: 0.8, color: look.rule }, hoverinfo: "skip" });
      data.push({ type: "scatter", mode: "lines", name: "training", x, y: values(run.train_smooth), line: { width: 1.9, color: look.parts.q }, hovertemplate: "training, step %{x:d}: %{y:.4g}<extra></extra>" });
    }
    if (run.eval_step) data.push({ type: "scatter", mode: "lines+markers", name: "validation", x: ws.steps(state, run.eval_step.values), y: values(run.eval_loss), marker: { size: 6, symbol: "diamond" },
      line: { width: 1.5, color: look.parts.k }, hovertemplate: "validation, step %{x:d}: %{y:.4g}<extra></extra>" });
    if (run.alarm_step) data.push({ type: "scatter", mode: "markers", name: "alarms", x: ws.steps(state, run.alarm_step.values), y: values(run.alarm_loss), text: run.meta.alarm_texts,
      marker: { size: 11, symbol: "triangle-down-open", color: look.parts.v, line: { width: 1.8 } }, hovertemplate: "alarm after step %{x:d}: %{text}<extra></extra>" });
    return { data, layout: ws.layout(look, { height: 380, xaxis: ws.stepAxis(look, state, (run.train_step ?? run.eval_step ?? run.step).values), yaxis: ws.axis(look, unit.title, unit.axis), showlegend: true,
      legend: { x: 1, xanchor: "right", y: 1, bgcolor: "rgba(0,0,0,0)" } }) };
  });
})(weightscope);
