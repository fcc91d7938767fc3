// The operations console: draws every <figure data-series="..."> as a time series.
//
// The figure's data is in the page itself (a <script type="application/json"> in the figure:
// {"times": [unix seconds], "series": [{"label", "values", "colour"}], "unit"}), so a console page can be read, printed
// and tested without JavaScript having fetched anything.

import uPlot from "uplot";

const height = 180;

const draw = (figure) => {
  const { times, series, unit } = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const styles = getComputedStyle(figure);
  const ink = styles.color;
  const axis = { stroke: ink, grid: { stroke: ink, width: 0.1 }, ticks: { stroke: ink, width: 0.2 }, font: `12px ${styles.fontFamily}` };
  const options = {
    width: figure.clientWidth,
    height,
    cursor: { sync: { key: "console" } },
    axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => (unit ? `${tick} ${unit}` : `${tick}`)) }],
    series: [{}, ...series.map(({ label, colour }) => ({ label, stroke: colour, width: 1.5, spanGaps: false }))],
  };
  const plot = new uPlot(options, [times, ...series.map(({ values }) => values)], figure);
  new ResizeObserver(() => plot.setSize({ width: figure.clientWidth, height })).observe(figure);
};

for (const figure of document.querySelectorAll("figure[data-series]")) draw(figure);
