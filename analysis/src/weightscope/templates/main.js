// State of each run's controls, and the one place where figures are drawn.
"use strict";
(function (ws) {
  const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false, doubleClick: "reset" };
  const initial = { component: 1, layer: 0, density: "linear", row: 0, steps: "linear", unit: "nats" };
  const numeric = new Set(["component", "layer", "row"]);
  const pause = () => new Promise((resume) => setTimeout(resume));

  class View {
    constructor(article, run) {
      this.article = article;
      this.run = run;
      this.state = Object.assign({}, initial, { row: run.histogram.shape[0] - 1 });
      this.drawn = new Map();
      const form = article.querySelector(".controls");
      form.elements.component.value = String(this.state.component);
      form.elements.row.value = String(this.state.row);
      form.addEventListener("submit", (event) => event.preventDefault());
      article.addEventListener("input", (event) => this.changed(event.target));
      this.say();
    }
    changed(control) {
      const key = control.dataset.control || control.name;
      if (!(key in this.state)) return;
      this.state[key] = numeric.has(key) ? Number(control.value) : control.value;
      this.say();
      for (const figure of ws.figures) if (figure.uses.includes(key)) this.draw(figure);
    }
    say() {
      const step = ws.stepOf(this.run, this.state.row);
      this.article.querySelector("output[name=step]").textContent = "step " + step.toLocaleString("en");
      this.article.querySelector("input[name=row]").setAttribute("aria-valuetext", "step " + step);
      this.article.querySelector("[data-reading=slice]").textContent = ws.sliceText(this.run, this.state);
    }
    draw(figure) {
      const place = this.article.querySelector(`[data-figure="${figure.name}"]`);
      if (!place) return null;
      const { data, layout } = figure.draw(this.run, this.state, ws.look());
      return Plotly.react(place, data, layout, CONFIG);
    }
    async drawAll() {
      for (const figure of ws.figures) {
        await this.draw(figure);
        await pause(); // the page stays usable meanwhile
      }
    }
  }

  const views = [];
  async function show(index) {
    const articles = [...document.querySelectorAll("article.run")];
    articles.forEach((article, i) => { article.hidden = i !== index; });
    if (!views[index]) {
      const payload = document.querySelectorAll("script.payload")[index].textContent;
      views[index] = new View(articles[index], ws.decode(await ws.inflate(payload)));
    }
    ws.view = views[index];
    await ws.view.drawAll();
  }

  async function start() {
    document.getElementById("theme").addEventListener("click", () => {
      ws.setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark", true);
      ws.view?.drawAll();
    });
    document.getElementById("run")?.addEventListener("input", (event) => show(Number(event.target.value)));
    // Paper is white whatever the screen is.
    let screenTheme = "light";
    addEventListener("beforeprint", () => { screenTheme = document.documentElement.dataset.theme; ws.setTheme("light", false); ws.view?.drawAll(); });
    addEventListener("afterprint", () => { ws.setTheme(screenTheme, false); ws.view?.drawAll(); });
    await ws.loadPlotly();
    document.documentElement.dataset.loaded = String(Math.round(performance.now()));
    await show(0);
    document.documentElement.dataset.ready = String(Math.round(performance.now()));
  }
  ws.started = start().catch((error) => {
    const notice = document.createElement("p");
    notice.className = "notice";
    notice.textContent = "The figures could not be drawn: " + error.message;
    document.querySelector("main").prepend(notice);
    throw error;
  });
})(weightscope);
