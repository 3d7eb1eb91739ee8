// Curves as SVG: one chart for each group of names, with a legend in words.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 480, HEIGHT = 200, LEFT = 52, RIGHT = 10, TOP = 10, BOTTOM = 24;
const MOST = 600; // points of a curve that are drawn

function part(tag, values, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(values)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function format(value) {
  const size = Math.abs(value);
  return size && (size < 0.01 || size >= 10000) ? value.toExponential(0) : String(+value.toPrecision(3));
}

function thinned(points) {
  const step = Math.ceil(points.length / MOST);
  return points.filter((_, i) => i % step === 0 || i === points.length - 1);
}

function chart(title, curves) {
  const all = curves.flatMap(([, points]) => points);
  const first = Math.min(...all.map(([step]) => step)), last = Math.max(...all.map(([step]) => step), first + 1);
  let low = Math.min(...all.map(([, value]) => value)), high = Math.max(...all.map(([, value]) => value));
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  const x = step => LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT);
  const y = value => HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
  const ends = curves.map(([name, points]) => `${name} ${format(points.at(-1)[1])}`).join(", ");
  const svg = part("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img",
    "aria-label": `${title} up to step ${last}: ${ends}` });
  for (const share of [0, 0.5, 1]) {
    const value = low + share * (high - low);
    svg.append(part("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: "grid-line" }));
    svg.append(part("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, format(value)));
  }
  svg.append(part("text", { x: LEFT, y: HEIGHT - 7 }, `step ${first}`));
  svg.append(part("text", { x: WIDTH - RIGHT, y: HEIGHT - 7, "text-anchor": "end" }, String(last)));
  curves.forEach(([, points], i) => {
    const line = thinned(points).map(([step, value], k) => `${k ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`);
    svg.append(part("path", { d: line.join(""), class: `line-${i % 4}` }));
  });
  return svg;
}

export function drawCharts(place, series) {
  const groups = new Map();
  for (const [name, points] of series) {
    const title = name.startsWith("evaluation/kid") && !/_(low|high)$/.test(name) ? "KID (smaller is better)"
      : name.endsWith("/loss") ? "Losses" : name === "samples/diversity" ? "Diversity of the pictures"
      : name === "images_per_second" ? "Images per second" : "";
    if (title) groups.set(title, [...(groups.get(title) || []), [name, points]]);
  }
  place.replaceChildren(...[...groups].sort(([a], [b]) => a < b ? -1 : 1).map(([title, curves]) => {
    const figure = document.createElement("figure");
    const heading = document.createElement("h3");
    heading.textContent = title;
    const legend = document.createElement("figcaption");
    legend.className = "legend";
    curves.forEach(([name], i) => {
      const word = document.createElement("span");
      word.className = `line-${i % 4}`;
      word.textContent = `— ${name}`;
      legend.append(word);
    });
    figure.append(heading, chart(title, curves), legend);
    return figure;
  }));
}
