// The report: one article per run, shown one at a time.
"use strict";
(function (ws) {
  const views = [];

  function say({ root, run, state }) {
    const step = ws.stepOf(run, state.row);
    root.querySelector("output[name=step]").textContent = "step " + step.toLocaleString("en");
    root.querySelector("input[name=row]").setAttribute("aria-valuetext", "step " + step);
    root.querySelector("[data-reading=slice]").textContent = ws.sliceText(run, state);
  }

  async function show(index) {
    const articles = [...document.querySelectorAll("article.run")];
    articles.forEach((article, i) => { article.hidden = i !== index; });
    if (!views[index]) {
      const run = ws.decode(await ws.inflate(document.querySelectorAll("script.payload")[index].textContent));
      const state = { component: 1, layer: 0, density: "linear", row: run.histogram.shape[0] - 1, steps: "linear", unit: "nats" };
      views[index] = new ws.View(articles[index], run, state, say);
    }
    ws.view = views[index];
    await ws.view.drawAll();
  }

  // The browser may have kept a choice over a reload, or a person chosen before plotly was there.
  const chosen = () => Number(document.getElementById("run")?.value ?? 0);
  document.getElementById("run")?.addEventListener("input", () => { if (window.Plotly) show(chosen()); });
  ws.started = ws.start(() => show(chosen()));
})(weightscope);
