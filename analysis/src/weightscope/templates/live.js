// The live page: asks for the state of the run, and draws again when it has changed.
"use strict";
(function (ws) {
  const place = (name) => document.querySelector(`[data-live="${name}"]`);
  const QUIET = 120; // seconds without a written byte
  let version = "", known = null, unreachable = false, ahead = 0; // ahead: seconds by which the clock over there is before this one

  ws.figure("latest", ["component", "density"], (run, state, look) => {
    const edge = run.edge.values, log = state.density === "log", row = run.histogram.shape[0] - 1;
    const x = Array.from({ length: edge.length - 1 }, (_, i) => (edge[i] + edge[i + 1]) / 2);
    const density = (layer) => Array.from(run.histogram.row(row, layer, state.component), (n, i) => (log && !n ? null : n / (run.count.at(layer, state.component) * (edge[i + 1] - edge[i]))));
    const data = ws.layerLines(run, look, x, density).map((trace) => ({ ...trace, hovertemplate: "layer " + trace.name + ", weight %{x:.4f}: %{y:.3g}<extra></extra>" }));
    const widest = ws.highest(run.std.values, 1e-9);
    return { data, layout: ws.layout(look, Object.assign({ height: 340, xaxis: ws.axis(look, "weight", { range: [-4.2 * widest, 4.2 * widest] }),
      yaxis: ws.axis(look, "density (1 / weight)", log ? { type: "log", exponentformat: "power", dtick: 1 } : { rangemode: "tozero" }) }, ws.layerLegend(look))) };
  });

  function fill(select, names) {
    if (select.options.length === names.length) return;
    select.replaceChildren(...names.map((name, i) => new Option(name, i)));
  }
  function rows(body, table) {
    body.replaceChildren(...table.map((cells) => {
      const row = document.createElement("tr");
      cells.forEach((cell) => { row.insertCell().textContent = cell; });
      return row;
    }));
  }
  function say(view) {
    view.root.querySelector("[data-reading=slice]").textContent = ws.sliceText(view.run, view.state);
  }

  function words() {
    if (!known) return;
    const quiet = Math.max(0, Date.now() / 1000 + ahead - known.newest), silent = known.status === "running" && quiet > QUIET;
    place("status").className = "state " + (unreachable || silent ? "lost" : known.status);
    place("status").textContent = unreachable ? "no answer" : known.status;
    place("message").textContent = unreachable ? "weightscope-watch does not answer; what is shown is the last that it said." :
      known.message || (silent ? `nothing written for ${Math.round(quiet / 60)} min: the job may be gone` : "");
  }

  async function show(found) {
    known = found;
    version = String(found.version);
    words();
    if (found.status === "waiting") return;
    document.title = found.name + " · weightscope";
    place("name").textContent = found.name;
    place("bar").max = Math.max(found.steps, found.done, 1);
    place("bar").value = found.done;
    place("progress").textContent = `${found.done.toLocaleString("en")} of ${found.steps.toLocaleString("en")} updates`;
    place("readings").replaceChildren(...found.readings.map(([label, value]) => {
      const entry = document.createElement("div");
      for (const [tag, text] of [["dt", label], ["dd", value]]) entry.appendChild(document.createElement(tag)).textContent = text;
      return entry;
    }));
    place("alarm-count").textContent = found.alarm_count ? `${found.alarm_count} raised, the newest first.` : "None.";
    place("alarms").hidden = !found.alarm_count;
    rows(place("alarms").querySelector("tbody"), found.alarms);
    if (!found.payload) return;
    const run = ws.decode(await ws.inflate(found.payload)), root = document.querySelector("article.run");
    place("figures").hidden = false;
    fill(root.querySelector("[name=component]"), run.meta.components);
    fill(root.querySelector("[name=layer]"), Array.from({ length: run.meta.layers }, (_, i) => String(i)));
    const row = run.histogram.shape[0] - 1;
    if (!ws.view) ws.view = new ws.View(root, run, { component: 1, layer: 0, density: "linear", row, steps: "linear", unit: "nats" }, say);
    Object.assign(ws.view, { run });
    // The file may have been replaced by that of another run, with fewer layers.
    const layer = Math.min(ws.view.state.layer, run.meta.layers - 1);
    Object.assign(ws.view.state, { row, layer });
    root.querySelector("[name=layer]").value = String(layer);
    say(ws.view);
    await ws.view.drawAll();
  }

  /** The new state, null when there is none. Only what fails in here is "no answer": a fault in the page is not. */
  async function asked() {
    try {
      const answer = await fetch("state.json?have=" + version, { cache: "no-store" });
      const found = answer.status === 200 ? await answer.json() : null;
      const now = Date.parse(answer.headers.get("Date"));
      if (Number.isFinite(now)) ahead = (now - Date.now()) / 1000;
      unreachable = false;
      return found;
    } catch {
      unreachable = true;
      return null;
    }
  }
  async function look() {
    const found = await asked();
    words();
    if (found) await show(found);
  }
  async function follow() {
    try {
      await look();
    } finally {
      setTimeout(follow, 1000 * Number(document.body.dataset.every));
    }
  }
  ws.started = ws.start(look).finally(() => setTimeout(follow, 1000 * Number(document.body.dataset.every)));
})(weightscope);
