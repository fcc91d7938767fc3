// One board: asks for each panel's numbers, draws it by kind, and again every fifteen seconds.

import { drawGauges, drawSeries, drawStat, drawTable, say } from "./panels.js";

const every = 15_000;
const kinds = {
  timeseries: drawSeries,
  barchart: drawGauges,
  bargauge: drawGauges,
  gauge: drawStat,
  stat: drawStat,
  table: drawTable,
};

const load = async (board, figure, query) => {
  const place = figure.querySelector(".plot");
  try {
    const answer = await fetch(`/console/boards/${board}/panels/${figure.dataset.panel}?${query}`);
    const body = await answer.json();
    if (!answer.ok) return say(place, body.detail ?? "This could not be asked.");
    if (!body.series.some(({ values }) => values.some((value) => value !== null))) {
      return say(place, "Nothing in this period.");
    }
    kinds[body.kind](place, body);
  } catch {
    say(place, "The console does not answer.");
  }
};

export const drawBoard = (form) => {
  const query = () => new URLSearchParams(new FormData(form));
  const figures = [...document.querySelectorAll("figure[data-panel]")];

  // A browser opens six connections to one host: panels in view are asked for first, the rest as they come into view.
  const seen = new Set();
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting && !seen.has(target)) {
          seen.add(target);
          load(form.dataset.board, target, query());
        }
        if (!isIntersecting) seen.delete(target);
      }
    },
    { rootMargin: "300px" },
  );
  figures.forEach((figure) => watcher.observe(figure));

  form.addEventListener("change", () => {
    history.replaceState(null, "", `?${query()}`);
    for (const figure of seen) load(form.dataset.board, figure, query());
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const figure of seen) load(form.dataset.board, figure, query());
  });
  setInterval(() => {
    if (!document.hidden) for (const figure of seen) load(form.dataset.board, figure, query());
  }, every);
};
