// Groups of seeds: effects over time and growth by depth, with intervals over seeds. Then everything is started.
"use strict";
(function (ws) {
  // Axis title of a claim's effect, whether the effect is a logarithm, and where "no effect" is as drawn.
  const meaning = (all, state) => all.groups[0].meta.claims[state.claim];
  const MEAN = 0, LOW = 1, HIGH = 2, SEEDS = 3;
  const faint = (color) => color + "2e"; // colours are #rrggbb

  function band(x, low, high, color, group) {
    // Only where both ends are known: a polygon through gaps would claim an interval that is not there.
    const xs = [], ys = [];
    let piece = [];
    const close = () => {
      if (piece.length && xs.length) { xs.push(null); ys.push(null); }
      for (const i of piece) { xs.push(x[i]); ys.push(high[i]); }
      for (const i of piece.reverse()) { xs.push(x[i]); ys.push(low[i]); }
      piece = [];
    };
    x.forEach((_, i) => { if (Number.isFinite(low[i]) && Number.isFinite(high[i])) piece.push(i); else close(); });
    close();
    return { type: "scatter", mode: "lines", x: xs, y: ys,
      fill: "toself", fillcolor: faint(color), line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: String(group) };
  }

  ws.figure("effect", ["component", "claim", "steps"], (all, state, look) => {
    const [title, logarithm, none] = meaning(all, state);
    const shown = (value) => (logarithm ? Math.exp(value) : value);
    const data = all.groups.flatMap((group, i) => {
      const row = (what) => Array.from(group.course.row(what, state.claim, state.component), what === SEEDS ? (n) => n : shown);
      const x = ws.steps(state, group.step.values), line = ws.stroke(look, i), seeds = row(SEEDS);
      return [band(x, row(LOW), row(HIGH), line.color, i),
        { type: "scatter", mode: "lines+markers", name: group.meta.label, legendgroup: String(i), x, y: row(MEAN), customdata: seeds, line, marker: { size: 4 },
          hovertemplate: group.meta.label + ", step %{x:d}: %{y:.3f} (%{customdata} seeds)<extra></extra>" }];
    });
    const steps = [ws.highest(all.groups.map((group) => ws.highest(group.step.values)))];
    const reference = { type: "line", xref: "paper", x0: 0, x1: 1, y0: none, y1: none, line: { color: look.muted, width: 1, dash: "dot" } };
    return { data, layout: ws.layout(look, Object.assign({ height: 400, xaxis: ws.stepAxis(look, state, steps), yaxis: ws.axis(look, title), shapes: [reference] }, ws.legendAbove)) };
  });

  ws.figure("groups", ["component", "claim"], (all, state, look) => {
    const [title, logarithm, none] = meaning(all, state);
    const shown = (value) => (logarithm ? Math.exp(value) : value);
    const kinds = [["holds", 1, look.dark ? "#56b4e9" : "#0072b2"], ["reversed", -1, look.dark ? "#e8743b" : "#d55e00"], ["undecided", 0, look.muted]];
    const rows = all.groups.map((group) => {
      const at = Array.from(group.step.values).indexOf(group.meta.step), value = (what) => shown(group.course.row(what, state.claim, state.component)[at]);
      return { label: group.meta.label, verdict: group.verdict.at(state.claim, state.component), mean: value(MEAN), low: value(LOW), high: value(HIGH), seeds: group.meta.seeds };
    });
    const gap = (a, b) => (Number.isFinite(a - b) ? Math.abs(a - b) : 0);
    const data = kinds.map(([name, verdict, color]) => {
      const own = rows.filter((row) => row.verdict === verdict);
      return { type: "scatter", mode: "markers", name, x: own.map((row) => row.mean), y: own.map((row) => row.label), customdata: own.map((row) => row.seeds),
        marker: { size: 9, color, symbol: verdict ? "circle" : "circle-open", line: { width: 1.6, color } },
        error_x: { type: "data", array: own.map((row) => gap(row.high, row.mean)), arrayminus: own.map((row) => gap(row.mean, row.low)), color, thickness: 1.6, width: 0 },
        hovertemplate: "%{y}: %{x:.3f} (%{customdata} seeds), " + name + "<extra></extra>" };
    });
    const labels = rows.map((row) => row.label), lines = labels.map((label) => label.split(", "));
    const longest = ws.highest(lines.flat().map((line) => line.length)), most = ws.highest(lines.map((line) => line.length));
    const room = 0.4 * document.querySelector('[data-figure="groups"]').clientWidth; // the figure itself needs the rest
    const reference = { type: "line", yref: "paper", y0: 0, y1: 1, x0: none, x1: none, line: { color: look.muted, width: 1, dash: "dot" } };
    const yaxis = ws.axis(look, "", { type: "category", categoryorder: "array", categoryarray: labels.slice().reverse(), tickvals: labels.slice().reverse(), ticktext: lines.map((line) => line.join(",<br>")).reverse(), range: [-0.6, labels.length - 0.4] });
    return { data, layout: ws.layout(look, Object.assign({ height: 130 + Math.max(26, 10 + 16 * most) * labels.length, xaxis: ws.axis(look, title), yaxis, shapes: [reference] }, ws.legendAbove,
      { margin: { l: Math.min(room, 24 + 7 * longest), r: 20, t: 40, b: 46 } })) };
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
