// Groups of seeds: effects over time and growth by depth, with intervals over seeds. Then everything is started.
"use strict";
(function (ws) {
  // Claims in the order of the page: axis title, whether the effect is a logarithm, and where "no effect" is.
  const CLAIMS = [
    ["std(t) / std(start)", true, 1], ["change of excess kurtosis", false, 0], ["Kendall's τ of layer and growth", false, 0],
    ["τ without layer 0", false, 0], ["growth of layer 0 / mean of the others", true, 1]];
  const MEAN = 0, LOW = 1, HIGH = 2, SEEDS = 3;
  const faint = (color) => color + "2e"; // colours are #rrggbb

  function band(x, low, high, color, group) {
    // Only where both ends are known: a polygon through gaps would claim an interval that is not there.
    const known = Array.from(x.keys()).filter((i) => Number.isFinite(low[i]) && Number.isFinite(high[i]));
    const xs = known.map((i) => x[i]);
    return { type: "scatter", mode: "lines", x: [...xs, ...xs.slice().reverse()], y: [...known.map((i) => high[i]), ...known.map((i) => low[i]).reverse()],
      fill: "toself", fillcolor: faint(color), line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: String(group) };
  }

  ws.figure("effect", ["component", "claim", "steps"], (all, state, look) => {
    const [title, logarithm, none] = CLAIMS[state.claim];
    const shown = (value) => (logarithm ? Math.exp(value) : value);
    const data = all.groups.flatMap((group, i) => {
      const row = (what) => Array.from(group.course.row(what, state.claim, state.component), what === SEEDS ? (n) => n : shown);
      const x = ws.steps(state, group.step.values), line = ws.stroke(look, i), seeds = row(SEEDS);
      return [band(x, row(LOW), row(HIGH), line.color, i),
        { type: "scatter", mode: "lines+markers", name: group.meta.label, legendgroup: String(i), x, y: row(MEAN), customdata: seeds, line, marker: { size: 4 },
          hovertemplate: group.meta.label + ", step %{x:d}: %{y:.3f} (%{customdata} seeds)<extra></extra>" }];
    });
    const steps = [Math.max(...all.groups.map((group) => Math.max(...group.step.values)))];
    const reference = { type: "line", xref: "paper", x0: 0, x1: 1, y0: none, y1: none, line: { color: look.muted, width: 1, dash: "dot" } };
    return { data, layout: ws.layout(look, Object.assign({ height: 400, xaxis: ws.stepAxis(look, state, steps), yaxis: ws.axis(look, title), shapes: [reference] }, ws.legendAbove)) };
  });

  function byDepth(all, state, look, which, title, more) {
    const data = all.groups.map((group, i) => {
      const row = (what) => group.depth.row(which, state.component, what), line = ws.stroke(look, i), mean = row(MEAN);
      const spread = (end) => Array.from(end, (value, l) => (Number.isFinite(value) ? Math.abs(value - mean[l]) : 0));
      const shift = 0.08 * (i - (all.groups.length - 1) / 2) / Math.max(1, all.groups.length / 5); // bars side by side
      return { type: "scatter", mode: "lines+markers", name: `${group.meta.label}, step ${group.meta.step}`, x: Array.from(mean, (_, l) => l + shift), y: Array.from(mean), line, marker: { size: 6 },
        error_y: { type: "data", array: spread(row(HIGH)), arrayminus: spread(row(LOW)), thickness: 1.2, width: 3, color: line.color },
        hovertemplate: group.meta.label + ": %{y:.4g}<extra></extra>" };
    });
    const layers = Math.max(...all.groups.map((group) => group.meta.layers));
    return { data, layout: ws.layout(look, Object.assign({ height: 360, xaxis: ws.axis(look, "layer (0 is next to the embedding)", { dtick: layers > 16 ? 4 : 1 }), yaxis: ws.axis(look, title, more) }, ws.legendAbove)) };
  }
  ws.figure("depth", ["component"], (all, state, look) => byDepth(all, state, look, 0, "std(t) / std(start)"));
  ws.figure("walk", ["component"], (all, state, look) => byDepth(all, state, look, 1, "|W − W₀| / |W₀|", { rangemode: "tozero" }));

  async function decoded(selector) {
    const found = [];
    for (const script of document.querySelectorAll(selector)) found.push(ws.decode(await ws.inflate(script.textContent)));
    return found;
  }
  ws.started = ws.start(async () => {
    const all = { runs: await decoded("script.payload"), groups: await decoded("script.group-payload") };
    ws.view = new ws.View(document.querySelector("main"), all, { component: 1, claim: 2, layer: 0, steps: "linear" });
    await ws.view.drawAll();
  });
})(weightscope);
