// Puts the page together.

const data = JSON.parse(document.getElementById("data").textContent);
const several = data.runs.length > 1;
const hidden = new Set();  // runs that are switched off

// Colour tells runs apart where there are several, else quantities or sets; dashes tell sets apart.
function styleLines(panels) {
  const sets = [...new Set(panels.flatMap((panel) => panel.lines.map((line) => line.set)))].filter(Boolean);
  for (const panel of panels) {
    const quantities = [...new Set(panel.lines.map((line) => line.what))];
    for (const line of panel.lines) {
      const set = sets.indexOf(line.set);
      line.hue = several ? line.run : quantities.length > 1 ? quantities.indexOf(line.what) : set + 1;
      line.dash = several || quantities.length > 1 ? kDashes[Math.max(set, 0) % kDashes.length] : "";
      line.kind = [quantities.length > 1 ? line.what : null, line.set ?? "training"].filter(Boolean).join(", ");
      line.name = several ? `${data.runs[line.run]}, ${line.kind}` : line.kind;
    }
  }
}

function legend(panel) {
  const beside = panel.lines.some((line) => line.set !== null);
  const entries = new Map(panel.lines.map((line) => [line.kind, line]));
  return html("div", {class: "legend"}, ...[...entries].map(([kind, line]) => {
    const style = several ? "--hue: var(--soft)" : hue(line.hue);
    const look = line.set === null ? `line training${beside ? " beside" : ""}` : "line";
    return html("span", {}, svg("svg", {width: 26, height: 10, style, "aria-hidden": "true"},
      svg("path", {class: look, d: "M0 5H26", "stroke-dasharray": line.dash}),
      line.set === null ? null : svg("circle", {class: "dot", cx: 13, cy: 5, r: 3})), kind);
  }));
}

function showCharts(place, panels) {
  const lastStep = Math.max(1, ...panels.flatMap((panel) => panel.lines).map((line) => line.steps.at(-1)));
  const axes = new Map(panels.map(({group}) => [group, axisOf(panels.filter((panel) => panel.group === group))]));
  const charts = panels.map((panel) => {
    const chart = html("div", {class: "chart"});
    const card = html("article", {class: "card panel"}, html("h3", {}, panel.title),
      html("p", {class: "soft"}, panel.text), legend(panel), chart);
    return {card, draw: () => drawChart(chart, panel, axes.get(panel.group), lastStep,
      (line) => !hidden.has(line.run))};
  });
  place.append(html("h2", {}, "Over the steps"));
  if (!panels.length) place.append(html("p", {class: "soft"}, "No values are logged yet."));
  place.append(html("div", {class: "grid"}, ...charts.map((chart) => chart.card)));
  return () => charts.forEach((chart) => chart.draw());
}

function showRuns(place, redraw) {
  data.runs.forEach((name, run) => {
    if (!several) {
      place.append(html("span", {}, name));
      return;
    }
    const button = html("button", {type: "button", "aria-pressed": "true", title: "Show or hide this run"},
      html("span", {class: "chip", style: hue(run)}), name);
    button.addEventListener("click", () => {
      if (!hidden.delete(run)) hidden.add(run);
      button.setAttribute("aria-pressed", String(!hidden.has(run)));
      redraw();
    });
    place.append(button);
  });
}

const place = (id) => document.getElementById(id);
styleLines(data.panels);
showRemarks(place("remarks"), data);
showFacts(place("facts"), data);
showSummary(place("summary"), data);
const redraw = showCharts(place("charts"), data.panels);
showRuns(place("runs"), redraw);
showSettings(place("settings"), data);
showSamples(place("samples"), data);
redraw();
window.addEventListener("resize", redraw);
document.documentElement.dataset.drawn = "yes";
