// How each kind of panel is drawn. Colours of series are chosen to stay apart for colour-blind readers.

import uPlot from "uplot";
import { format } from "./units.js";

const palettes = {
  dark: ["#86c5e8", "#e3b577", "#6fcf9f", "#b9a1f3", "#ef94b4", "#d8d36c", "#9fadbd", "#ff9d7a"],
  light: ["#1f6f9c", "#a86a12", "#1c7a4f", "#6a4cc0", "#b23a6c", "#7d7a10", "#5b6877", "#bf4a22"],
};
const light = matchMedia("(prefers-color-scheme: light)");
const palette = () => (light.matches ? palettes.light : palettes.dark);
const svg = "http://www.w3.org/2000/svg";

const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

const drawing = (name, attributes, ...children) => {
  const made = document.createElementNS(svg, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

const last = (values) => values.findLast((value) => value !== null) ?? null;

const colourOf = (value, thresholds) => {
  const passed = thresholds.filter((step) => step.value === null || value >= step.value);
  const name = passed.at(-1)?.colour ?? "text";
  return `c-${/green|yellow|orange|red|blue/.exec(name)?.[0] ?? "text"}`;
};

export const say = (place, sentence) => {
  place.plot?.destroy();
  place.plot = null;
  place.replaceChildren(element("p", { class: "empty" }, sentence));
};

const stackUp = (series) => {
  const sums = [];
  return series.map(({ values }) =>
    values.map((value, index) => (value === null ? null : (sums[index] = (sums[index] ?? 0) + value))),
  );
};

const tooltip = (body, colours) => {
  const tip = element("div", { class: "tip", hidden: "" });
  return {
    hooks: {
      init: (plot) => plot.over.append(tip),
      setCursor: (plot) => {
        const { idx, left, top } = plot.cursor;
        // Cursors move together on all drawings; only the one under the hand explains itself.
        tip.hidden = idx === null || idx === undefined || left < 0 || !plot.over.matches(":hover");
        if (tip.hidden) return;
        const time = new Date(body.times[idx] * 1000);
        const lines = body.series
          .map(({ label, values }, index) => ({ label, value: values[idx], colour: colours[index] }))
          .filter(({ value }) => value !== null)
          .sort((a, b) => b.value - a.value)
          .slice(0, 9)
          .map(({ label, value, colour }) => {
            const name = element("span", {}, label);
            name.style.color = colour;
            return element("div", {}, element("b", {}, format(value, body.unit, body.decimals)), name);
          });
        tip.replaceChildren(element("div", { class: "dim" }, time.toLocaleTimeString("en-GB")), ...lines);
        const over = plot.over.getBoundingClientRect();
        tip.style.left = `${left > over.width / 2 ? Math.max(0, left - tip.offsetWidth - 14) : left + 14}px`;
        tip.style.top = `${Math.max(0, Math.min(top, over.height - tip.offsetHeight))}px`;
      },
    },
  };
};

const limits = (thresholds) => ({
  hooks: {
    draw: (plot) => {
      const styles = getComputedStyle(plot.root);
      for (const { value, colour } of thresholds) {
        if (value === null || value < plot.scales.y.min || value > plot.scales.y.max) continue;
        const y = Math.round(plot.valToPos(value, "y", true));
        plot.ctx.save();
        plot.ctx.strokeStyle = styles.getPropertyValue(/red/.test(colour) ? "--bad" : "--watch");
        plot.ctx.globalAlpha = 0.7;
        plot.ctx.setLineDash([6, 5]);
        plot.ctx.beginPath();
        plot.ctx.moveTo(plot.bbox.left, y);
        plot.ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
        plot.ctx.stroke();
        plot.ctx.restore();
      }
    },
  },
});

export const drawSeries = (place, body) => {
  const colours = body.series.map((_, index) => palette()[index % palette().length]);
  const drawn = body.stacked ? stackUp(body.series) : body.series.map(({ values }) => values);
  const data = [body.times, ...drawn];
  const key = JSON.stringify([body.series.map(({ label }) => label), body.unit, light.matches]);
  const keys = body.series.map(({ label, values }, index) => {
    const mark = element("i");
    mark.style.color = colours[index];
    return element("span", {}, mark, label, element("b", {}, format(last(values), body.unit, body.decimals)));
  });

  // The same series as before: only the numbers move, so the reader's cursor and the picture stay.
  if (place.plot && place.key === key) {
    place.plot.setData(data);
    place.querySelector(".keys")?.replaceChildren(...keys);
    return;
  }
  place.plot?.destroy();
  const legend = element("div", { class: "keys" }, ...keys);
  const canvas = element("div");
  place.replaceChildren(canvas, legend);
  place.key = key;
  const styles = getComputedStyle(place);
  const dim = styles.getPropertyValue("--dim");
  const axis = {
    stroke: dim,
    font: `12px ${styles.fontFamily}`,
    grid: { stroke: styles.getPropertyValue("--line"), width: 1 },
    ticks: { show: false },
  };
  const height = () => Math.max(120, place.clientHeight - legend.offsetHeight - 8);
  const range = (_, low, high) => {
    const bottom = body.minimum ?? Math.min(0, low ?? 0);
    const top = body.maximum ?? (high ?? 0) * 1.08;
    return [bottom, top > bottom ? top : bottom + 1];
  };
  place.plot = new uPlot(
    {
      width: place.clientWidth,
      height: height(),
      padding: [8, 6, 0, 0],
      cursor: { sync: { key: "board" }, points: { size: 6 } },
      legend: { show: false },
      scales: { y: { range } },
      axes: [
        { ...axis, space: 70, size: 26, values: (_, ticks) => ticks.map(clockTick(body.times)) },
        { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => format(tick, body.unit, undefined)) },
      ],
      series: [
        {},
        ...body.series.map(({ label }, index) => ({
          label,
          stroke: colours[index],
          width: 1.75,
          points: { show: false },
          fill: body.stacked ? undefined : `${colours[index]}12`,
        })),
      ],
      bands: body.stacked
        ? body.series.slice(1).map((_, index) => ({ series: [index + 2, index + 1], fill: `${colours[index + 1]}40` }))
        : [],
      plugins: [tooltip(body, colours), limits(body.thresholds)],
    },
    data,
    canvas,
  );
  place.watcher?.disconnect();
  place.watcher = new ResizeObserver(() => place.plot?.setSize({ width: place.clientWidth, height: height() }));
  place.watcher.observe(place.parentElement);
};

const clockTick = (times) => {
  const days = times.at(-1) - times[0] > 2 * 86_400;
  const options = days ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" };
  return (tick) => new Date(tick * 1000).toLocaleString("en-GB", options);
};

export const drawStat = (place, body) => {
  const values = element("div", { class: "values" });
  for (const { label, values: all } of body.series.slice(0, 6)) {
    const value = last(all);
    const shown = element("span", { class: `value ${colourOf(value, body.thresholds)}` }, format(value, body.unit, body.decimals));
    values.append(body.series.length > 1 ? element("div", {}, element("span", { class: "dim" }, label), shown) : shown);
  }
  const line = body.series.length === 1 ? sparkline(body.series[0].values) : null;
  place.replaceChildren(values, ...(line ? [line] : []));
};

const sparkline = (values) => {
  const known = values.filter((value) => value !== null);
  if (known.length < 3) return null;
  const low = Math.min(...known);
  const size = Math.max(...known) - low || 1;
  const points = values
    .map((value, index) => (value === null ? null : `${((index / (values.length - 1)) * 300).toFixed(1)} ${(32 - ((value - low) / size) * 30).toFixed(1)}`))
    .filter((point) => point !== null);
  const path = drawing("path", { d: `M${points.join("L")}` });
  return drawing("svg", { class: "spark", viewBox: "0 0 300 34", preserveAspectRatio: "none", "aria-hidden": "true" }, path);
};

export const drawGauges = (place, body) => {
  const rows = body.series.map(({ label, values }) => ({ label, value: last(values) })).filter(({ value }) => value !== null);
  const top = body.maximum ?? Math.max(...rows.map(({ value }) => value), Number.EPSILON);
  const list = element("ul", { class: "gauges" });
  for (const { label, value } of rows) {
    const width = Math.max(0, Math.min(100, (value / top) * 100)).toFixed(2);
    list.append(
      element(
        "li",
        { title: label },
        element("span", { class: "label" }, label),
        drawing(
          "svg",
          { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: colourOf(value, body.thresholds), "aria-hidden": "true" },
          drawing("rect", { class: "track", width: 100, height: 10 }),
          drawing("rect", { class: "fill", width, height: 10 }),
        ),
        element("strong", {}, format(value, body.unit, body.decimals)),
      ),
    );
  }
  place.replaceChildren(list);
};

export const drawTable = (place, body) => {
  const names = [...new Set(body.series.flatMap(({ labels }) => Object.keys(labels)))];
  const head = element("tr", {}, ...names.map((name) => element("th", {}, name.replaceAll("_", " "))), element("th", { class: "n" }, "value"));
  const rows = body.series
    .map(({ labels, values }) => ({ labels, value: last(values) }))
    .sort((a, b) => (b.value ?? 0) - (a.value ?? 0))
    .slice(0, 50)
    .map(({ labels, value }) =>
      element(
        "tr",
        {},
        ...names.map((name) => element("td", {}, labels[name] ?? "")),
        element("td", { class: `n ${colourOf(value, body.thresholds)}` }, format(value, body.unit, body.decimals)),
      ),
    );
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
  place.replaceChildren(element("div", { class: "scroll" }, table));
};
