// Colours and type of the figures, read from the style sheet so that both themes have one source.
"use strict";
(function (ws) {
  const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];

  function mix(a, b, t) {
    const channel = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
    const parts = [0, 1, 2].map((i) => Math.round(channel(a, i) * (1 - t) + channel(b, i) * t));
    return "#" + parts.map((v) => v.toString(16).padStart(2, "0")).join("");
  }
  function cividis(t) {
    const x = Math.min(Math.max(t, 0), 1) * (CIVIDIS.length - 1);
    const i = Math.min(Math.floor(x), CIVIDIS.length - 2);
    return mix(CIVIDIS[i], CIVIDIS[i + 1], x - i);
  }

  ws.look = function () {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue("--" + name).trim();
    const dark = document.documentElement.dataset.theme === "dark";
    const look = { dark, paper: color("paper"), ink: color("ink"), muted: color("muted"), rule: color("rule"), hair: color("hair"), accent: color("accent") };
    look.parts = { q: color("q"), k: color("k"), v: color("v"), c_attn: color("whole") };
    // Both ends of cividis would vanish, one in each theme.
    look.along = (t) => (dark ? cividis(0.22 + 0.78 * t) : cividis(0.86 * t));
    look.scale = CIVIDIS.map((c, i) => [i / (CIVIDIS.length - 1), c]);
    return look;
  };

  // Margins are wide enough for the labels of numbers. Letting plotly find them (automargin), or hide labels that leave the figure
  // (ticklabeloverflow), measures every label of every figure: a third of the time until a page is drawn.
  ws.axis = function (look, title, more) {
    return Object.assign(
      { title: { text: title, standoff: 8, font: { size: 12, color: look.muted } }, color: look.ink, gridcolor: look.hair, linecolor: look.rule,
        tickcolor: look.rule, ticks: "outside", ticklen: 4, zeroline: false, showline: true, automargin: false, ticklabeloverflow: "allow", tickfont: { size: 11.5, color: look.muted } },
      more);
  };

  ws.layout = function (look, more) {
    return Object.assign(
      { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: "Inter, system-ui, Segoe UI, Helvetica Neue, Arial, sans-serif", size: 12, color: look.ink },
        margin: { l: 68, r: 20, t: 14, b: 46 }, hovermode: "closest", hoverlabel: { font: { size: 12 } }, showlegend: false, autosize: true },
      more);
  };

  /** Steps along x. Step 0 has no logarithm: it stands at 0.4, which is labelled 0 and rounds to it. */
  const ZERO = 0.4;
  ws.steps = (state, steps) => Array.from(steps, (step) => (state.steps === "log" ? Math.max(step, ZERO) : step));
  ws.stepAxis = function (look, state, steps) {
    if (state.steps !== "log") return ws.axis(look, "step");
    const last = ws.highest(steps, 1);
    const ticks = [1, 10, 100, 1000, 1e4, 1e5, 1e6].filter((tick) => tick <= last);
    return ws.axis(look, "step", { type: "log", tickvals: [ZERO, ...ticks], ticktext: ["0", ...ticks.map((tick) => tick.toLocaleString("en"))] });
  };

  /** One line per layer, coloured by depth; the legend names the layers. */
  ws.layerLines = function (run, look, x, columnOf, more) {
    const n = run.meta.layers;
    return Array.from({ length: n }, (_, layer) => Object.assign(
      { type: "scatter", mode: "lines", name: String(layer), x, y: columnOf(layer), line: { width: 1.7, color: look.along(n > 1 ? layer / (n - 1) : 0) },
        hovertemplate: "layer " + layer + ", step %{x:d}: %{y:.4g}<extra></extra>" },
      more));
  };
  ws.layerLegend = (look) => ({ showlegend: true, legend: { title: { text: "Layer", font: { size: 11.5, color: look.muted } }, font: { size: 11.5 }, itemwidth: 30 } });

  ws.setTheme = function (name, remember) {
    document.documentElement.dataset.theme = name;
    const button = document.getElementById("theme");
    button.textContent = name === "dark" ? "Light" : "Dark";
    if (remember) try { localStorage.setItem("weightscope-theme", name); } catch { /* private windows have no storage */ }
  };
  ws.preferredTheme = function () {
    try {
      const kept = localStorage.getItem("weightscope-theme");
      if (kept) return kept;
    } catch { /* as above */ }
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  };
  ws.setTheme(ws.preferredTheme(), false);
})(weightscope);
