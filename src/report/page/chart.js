// Charts: scales, drawing, and the values under the pointer. Texts become text nodes, never markup.

const kHeight = 230;
const kMargin = {left: 54, right: 14, top: 18, bottom: 34};
const kHues = 8;
const kDashes = ["", "6 4", "2 3", "9 3 2 3"];
const kMinLogRatio = 30;  // of the largest and the smallest value: below it a logarithmic axis says no more
const kMaxDots = 40;      // of a line, whose points would run into each other
const kReachPx = 8;       // how far from the pointer a value may lie to be named
const kCompact = new Intl.NumberFormat("en", {notation: "compact", maximumSignificantDigits: 4});

function node(name, attributes, children, create) {
  const made = create(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}
const html = (name, attributes = {}, ...children) =>
  node(name, attributes, children, (n) => document.createElement(n));
const svg = (name, attributes = {}, ...children) =>
  node(name, attributes, children, (n) => document.createElementNS("http://www.w3.org/2000/svg", n));
const hue = (index) => `--hue: var(--hue${index % kHues})`;

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

// A value to read: four digits, in percent for a share.
function valueText(value, unit) {
  if (unit === "share") return `${Number((100 * value).toPrecision(4))} %`;
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 1e-3 && size < 1e7);
  const text = plain ? String(Number(value.toPrecision(5))) : value.toExponential(3);
  return unit ? `${text} ${unit}` : text;
}

// Round numbers inside [low, high], about `count` of them.
function linearTicks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw * (1 - 1e-9));
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i) ticks.push(i * step);
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  const factors = high / low < 1e3 ? [1, 2, 5] : [1];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; ++power) {
    for (const factor of factors) ticks.push(factor * 10 ** power);
  }
  const inside = ticks.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
  const every = Math.ceil(inside.length / 8);
  return inside.filter((_, i) => i % every === 0);
}

function tickText(value, unit) {
  if (unit === "share") return `${Number((100 * value).toPrecision(3))}%`;
  const size = Math.abs(value);
  if (size >= 1e4) return kCompact.format(value);
  if (size !== 0 && size < 1e-3) return Number(value.toPrecision(4)).toExponential();
  return String(Number(value.toPrecision(4)));
}

// The y axis of all panels of a group: {low, high, log}.
function axisOf(panels) {
  const {scale, zero} = panels[0];
  if (scale === "share") return {low: 0, high: 1, log: false};
  const values = panels.flatMap((panel) => panel.lines)
    .flatMap((line) => [...line.values, ...(line.low ?? []), ...(line.high ?? [])]).filter(isNumber);
  let low = values.reduce((a, b) => Math.min(a, b));
  let high = values.reduce((a, b) => Math.max(a, b));
  if (scale === "log" && low > 0 && high / low >= kMinLogRatio)
    return {low: low / 1.15, high: high * 1.15, log: true};
  if (zero) {
    low = Math.min(low, 0);
    high = Math.max(high, 0);
  }
  const room = high > low ? 0.05 * (high - low) : 0.1 * Math.abs(high) || 1;
  const bottom = zero && low === 0 ? 0 : low - room;
  const top = zero && high === 0 && low < 0 ? 0 : high + room;
  return {low: bottom, high: top, log: false};
}

function pixelScale(low, high, from, to) {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

// Runs of neighbouring points whose values are all there.
function pieces(line, keys) {
  const all = [];
  let piece = [];
  for (let i = 0; i <= line.steps.length; ++i) {
    if (i < line.steps.length && keys.every((key) => isNumber(line[key][i]))) {
      piece.push(i);
    } else if (piece.length) {
      all.push(piece);
      piece = [];
    }
  }
  return all;
}

const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

function drawAxes(panel, axis, x, y, width, lastStep) {
  const right = width - kMargin.right;
  const bottom = kHeight - kMargin.bottom;
  const parts = [];
  const yTicks = axis.log ? logTicks(axis.low, axis.high) : linearTicks(axis.low, axis.high, 7);
  for (const tick of yTicks) {
    const at = y(tick).toFixed(1);
    const kind = tick === 0 ? "zero" : "gridline";
    parts.push(svg("line", {class: kind, x1: kMargin.left, x2: right, y1: at, y2: at}));
    const place = {x: kMargin.left - 6, y: Number(at) + 4, "text-anchor": "end"};
    parts.push(svg("text", place, tickText(tick, panel.unit)));
  }
  for (const tick of linearTicks(0, lastStep, width < 360 ? 4 : 6).filter(Number.isInteger)) {
    const at = x(tick).toFixed(1);
    parts.push(svg("line", {class: "axis", x1: at, x2: at, y1: bottom, y2: bottom + 4}));
    parts.push(svg("text", {x: at, y: bottom + 16, "text-anchor": "middle"}, tickText(tick, "")));
  }
  parts.push(svg("line", {class: "axis", x1: kMargin.left, x2: right, y1: bottom, y2: bottom}));
  parts.push(svg("text", {x: right, y: kHeight - 3, "text-anchor": "end"}, "step"));
  const unit = panel.unit === "share" ? "" : panel.unit;
  const note = [unit, axis.log ? "log scale" : ""].filter(Boolean).join(", ");
  if (note) parts.push(svg("text", {x: kMargin.left, y: 11}, note));
  if (panel.mark !== null) {
    const at = y(panel.mark).toFixed(1);
    parts.push(svg("line", {class: "mark", x1: kMargin.left, x2: right, y1: at, y2: at}));
  }
  return parts;
}

function drawBand(line, x, y) {
  if (!line.low) return [];
  return pieces(line, ["low", "high"]).map((piece) => {
    const edge = (key, order) => order.map((i) => [x(line.steps[i]), y(line[key][i])]);
    return svg("path", {class: "band", style: hue(line.hue),
      d: `${path([...edge("high", piece), ...edge("low", [...piece].reverse())])}Z`});
  });
}

function drawLine(line, x, y, beside) {
  const place = (i) => [x(line.steps[i]), y(line.values[i])];
  const points = pieces(line, ["values"]).map((piece) => piece.map(place));
  const kind = line.set === null ? `line training${beside ? " beside" : ""}` : "line";
  const style = hue(line.hue);
  const drawn = [svg("path", {class: kind, style, "stroke-dasharray": line.dash, d: points.map(path).join("")})];
  const all = points.flat();
  const alone = points.filter((piece) => piece.length === 1).flat();
  const dotted = line.set !== null && all.length <= kMaxDots ? all : alone;
  for (const [cx, cy] of dotted)
    drawn.push(svg("circle", {class: "dot", style, cx: cx.toFixed(1), cy: cy.toFixed(1), r: 3}));
  return drawn;
}

// Index of the step nearest to `step` in the ascending `steps`.
function nearest(steps, step) {
  let low = 0;
  let high = steps.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle;
    else high = middle;
  }
  return Math.abs(steps[high] - step) < Math.abs(steps[low] - step) ? high : low;
}

function tipRows(panel, lines, step, reach) {
  const rows = [];
  for (const line of lines) {
    const i = nearest(line.steps, step);
    if (Math.abs(line.steps[i] - step) > reach) continue;
    const value = line.values[i];
    const band = line.low && isNumber(line.low[i]) && isNumber(line.high[i])
      ? ` (${valueText(line.low[i], "")} … ${valueText(line.high[i], "")})` : "";
    rows.push(html("div", {}, html("span", {class: "chip", style: hue(line.hue)}), html("span", {}, line.name),
      html("b", {}, isNumber(value) ? valueText(value, panel.unit) + band : "not finite")));
  }
  return rows;
}

// Names the values under the pointer in a box beside it.
function followPointer(chart, image, panel, lines, x, lastStep, width) {
  const plot = width - kMargin.left - kMargin.right;
  const cursor = svg("line", {class: "cursor", y1: kMargin.top, y2: kHeight - kMargin.bottom, visibility: "hidden"});
  const tip = html("div", {class: "tip", hidden: ""});
  image.append(cursor);
  chart.append(tip);
  const steps = [...new Set(lines.flatMap((line) => line.steps))].sort((a, b) => a - b);
  const hide = () => {
    tip.hidden = true;
    cursor.setAttribute("visibility", "hidden");
  };
  const show = (event) => {
    if (!steps.length) return;
    const pointer = event.clientX - image.getBoundingClientRect().left;
    const step = steps[nearest(steps, ((pointer - kMargin.left) / plot) * lastStep)];
    const at = x(step);
    cursor.setAttribute("x1", at);
    cursor.setAttribute("x2", at);
    cursor.setAttribute("visibility", "visible");
    tip.replaceChildren(html("span", {class: "soft"}, `step ${step}`),
      ...tipRows(panel, lines, step, (kReachPx / plot) * lastStep));
    tip.hidden = false;
    tip.style.left = at < width / 2 ? `${at + 10}px` : "auto";
    tip.style.right = at < width / 2 ? "auto" : `${width - at + 10}px`;
  };
  image.addEventListener("pointermove", show);
  image.addEventListener("pointerdown", show);
  image.addEventListener("pointerleave", hide);
}

// Draws `panel` into `chart`, replacing what was there. `isShown(line)`: whether its run is switched on.
function drawChart(chart, panel, axis, lastStep, isShown) {
  const width = Math.max(chart.clientWidth, 240);
  const x = pixelScale(0, lastStep, kMargin.left, width - kMargin.right);
  const bottom = kHeight - kMargin.bottom;
  const y = axis.log
    ? (value) => pixelScale(Math.log(axis.low), Math.log(axis.high), bottom, kMargin.top)(Math.log(value))
    : pixelScale(axis.low, axis.high, bottom, kMargin.top);
  const lines = panel.lines.filter(isShown);
  const beside = panel.lines.some((line) => line.set !== null);
  const image = svg("svg", {viewBox: `0 0 ${width} ${kHeight}`, height: kHeight, role: "img",
    "aria-label": `${panel.title}: ${panel.text}`},
  ...drawAxes(panel, axis, x, y, width, lastStep), ...lines.flatMap((line) => drawBand(line, x, y)),
  ...lines.flatMap((line) => drawLine(line, x, y, beside)));
  chart.replaceChildren(image);
  followPointer(chart, image, panel, lines, x, lastStep, width);
}
