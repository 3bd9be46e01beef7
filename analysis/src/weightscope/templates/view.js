// A view: controls, their state, and the one place where figures are drawn.
"use strict";
(function (ws) {
  const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false, doubleClick: "reset" };
  const numeric = new Set(["component", "claim", "layer", "row"]);
  const pause = () => new Promise((resume) => setTimeout(resume));

  /** `root` holds a form .controls and places [data-figure]; `state` starts the controls; say(view) updates words. */
  ws.View = class {
    constructor(root, run, state, say) {
      Object.assign(this, { root, run, state, say: say || (() => {}) });
      const form = root.querySelector(".controls");
      for (const [key, value] of Object.entries(state)) if (form.elements[key]) form.elements[key].value = String(value);
      form.addEventListener("submit", (event) => event.preventDefault());
      root.addEventListener("input", (event) => this.changed(event.target));
      this.say(this);
    }
    changed(control) {
      const key = control.dataset.control || control.name;
      if (!(key in this.state)) return;
      this.state[key] = numeric.has(key) ? Number(control.value) : control.value;
      this.say(this);
      for (const figure of ws.figures) if (figure.uses.includes(key)) this.draw(figure);
    }
    draw(figure) {
      const place = this.root.querySelector(`[data-figure="${figure.name}"]`);
      if (!place) return null;
      const { data, layout } = figure.draw(this.run, this.state, ws.look());
      // What was zoomed or hidden stays while the figure shows the same thing, as it does when a live run goes on (`row` moves then).
      layout.uirevision = figure.uses.filter((key) => key !== "row").map((key) => this.state[key]).join() || figure.name;
      return Plotly.react(place, data, layout, CONFIG);
    }
    async drawAll() {
      for (const figure of ws.figures) {
        await this.draw(figure);
        await pause(); // the page stays usable meanwhile
      }
    }
  };

  /** Paper is white whatever the screen is. The page is printed when the handler returns: there is no time for pauses. */
  function redrawAtOnce(theme) {
    ws.setTheme(theme, false);
    if (ws.view) for (const figure of ws.figures) ws.view.draw(figure);
  }

  function followTheme() {
    document.getElementById("theme").addEventListener("click", () => {
      ws.setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark", true);
      ws.view?.drawAll();
    });
    let screenTheme = "light";
    addEventListener("beforeprint", () => { screenTheme = document.documentElement.dataset.theme; redrawAtOnce("light"); });
    addEventListener("afterprint", () => redrawAtOnce(screenTheme));
  }

  /** Runs `show` once plotly is there; says on the page what went wrong. data-ready: when all was drawn, in ms. */
  ws.start = async function (show) {
    try {
      followTheme();
      await ws.loadPlotly();
      await show();
      document.documentElement.dataset.ready = String(Math.round(performance.now()));
    } catch (error) {
      const notice = document.createElement("p");
      notice.className = "notice";
      notice.textContent = "The figures could not be drawn: " + error.message;
      document.querySelector("main").prepend(notice);
      throw error;
    }
  };
})(weightscope);
