// Tables and texts.

// A heading for each run, with its colour where there are several.
function runHeadings(data) {
  return data.runs.map((name, i) => html("th", {},
    data.runs.length > 1 ? html("span", {class: "chip", style: hue(i)}) : null, name));
}

function table(data, corner, rows) {
  return html("div", {class: "scroll"}, html("table", {},
    html("thead", {}, html("tr", {}, html("th", {}, corner), ...runHeadings(data))), html("tbody", {}, ...rows)));
}

function textRow(row) {
  return html("tr", {}, html("th", {scope: "row"}, row.name),
    ...row.values.map((value) => html("td", {}, value ?? "(not set)")));
}

function showRemarks(place, data) {
  data.remarks.forEach((remarks, i) => {
    if (!remarks.length) return;
    const text = remarks.join("; ");
    place.append(html("p", {class: "remark"}, data.runs.length > 1 ? `${data.runs[i]}: ${text}` : text));
  });
}

function showFacts(place, data) {
  place.append(html("h2", {}, data.runs.length > 1 ? "Runs" : "Run"),
    html("div", {class: "card"}, table(data, "", data.facts.map(textRow))));
}

function summaryCell(cell) {
  if (cell === null) return html("td", {}, "–");
  const value = cell.first === undefined ? cell.last : `${cell.first} → ${cell.last}`;
  const note = cell.change === undefined ? cell.steps : cell.change;
  return html("td", {title: cell.steps}, `${value} `, html("span", {class: "soft"}, `(${note})`));
}

function showSummary(place, data) {
  place.append(html("h2", {}, "Evaluation, before → after"));
  if (!data.summary.length) {
    place.append(html("p", {class: "soft"}, "No evaluation is logged."));
    return;
  }
  for (const {set, rows} of data.summary) {
    place.append(html("div", {class: "card"},
      html("p", {class: "soft"}, "The first and the last evaluation of the set, and the difference. Log-ratios in nats."),
      table(data, set, rows.map((row) => html("tr", {}, html("th", {scope: "row"}, row.name),
        ...row.runs.map(summaryCell))))));
  }
}

function showSettings(place, data) {
  const several = data.runs.length > 1;
  place.append(html("h2", {}, several ? "Differences of the configurations" : "Configuration"));
  if (!data.settings.length) {
    place.append(html("p", {class: "soft"}, several ? "None." : "No config.yaml was found."));
    return;
  }
  const settings = table(data, "key", data.settings.map(textRow));
  place.append(html("div", {class: "card"},
    several ? settings : html("details", {}, html("summary", {}, "All keys"), settings)));
}

function sampleCell(cell, data) {
  const named = cell.run !== null && data.runs.length > 1;
  return html("div", {}, html("p", {class: "soft"}, named ? html("span", {class: "chip", style: hue(cell.run)}) : null,
    named ? ` ${data.runs[cell.run]}, ${cell.label}` : cell.label), html("pre", {}, cell.text));
}

function showSamples(place, data) {
  const {total, prompts} = data.samples;
  if (!total) return;
  const note = prompts.length < total ? ` The first ${prompts.length} of ${total} prompts.` : "";
  place.append(html("h2", {}, "Samples, before and after"),
    html("p", {class: "soft"}, `What the model wrote at the first and the last step with samples.${note}`));
  for (const {prompt, cells} of prompts) {
    place.append(html("article", {class: "card sample"}, html("p", {class: "soft"}, "prompt"), html("pre", {}, prompt),
      html("div", {class: "cells"}, ...cells.map((cell) => sampleCell(cell, data)))));
  }
}
