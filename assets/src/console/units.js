// Grafana's unit names as people read them. An unknown unit shows the plain number.

const narrow = "\u00a0";

const trimmed = (value, digits) => {
  const text = value.toLocaleString("en", { minimumFractionDigits: 0, maximumFractionDigits: digits });
  return text.replaceAll(",", narrow);
};

const scaled = (value, steps, digits) => {
  const size = Math.abs(value);
  const [, factor, name] = steps.find(([limit]) => size < limit) ?? steps.at(-1);
  return `${trimmed(value / factor, digits)}${name ? narrow + name : ""}`;
};

const seconds = [
  [1e-3, 1e-6, "µs"],
  [1, 1e-3, "ms"],
  [60, 1, "s"],
  [3600, 60, "min"],
  [86400, 3600, "h"],
  [Infinity, 86400, "days"],
];
const bytes = [
  [1024, 1, "B"],
  [1024 ** 2, 1024, "KiB"],
  [1024 ** 3, 1024 ** 2, "MiB"],
  [Infinity, 1024 ** 3, "GiB"],
];
const short = [
  [1e4, 1, ""],
  [1e6, 1e3, "k"],
  [1e9, 1e6, "M"],
  [Infinity, 1e9, "bn"],
];

const perUnit = { reqps: "/s", ops: "/s", cps: "/s", wps: "/s", eps: "/s", rps: "/s", opm: "/min", cpm: "/min" };

const digitsOf = (value) => (Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);

export const format = (value, unit, decimals) => {
  if (value === null || value === undefined) return "–";
  const digits = decimals ?? digitsOf(value);
  if (value === 0 && !unit.startsWith("percent")) return `0${perUnit[unit] ?? ""}`;
  if (unit === "percentunit") return `${trimmed(value * 100, decimals ?? digitsOf(value * 100))}${narrow}%`;
  if (unit === "percent") return `${trimmed(value, digits)}${narrow}%`;
  if (unit === "s") return scaled(value, seconds, decimals ?? 2);
  if (unit === "ms") return scaled(value / 1000, seconds, decimals ?? 2);
  if (unit === "bytes" || unit === "decbytes") return scaled(value, bytes, 1);
  if (unit.startsWith("currency")) return `${scaled(value, short, 1)}${narrow}${unit.slice("currency".length)}`;
  if (unit.startsWith("suffix:")) return `${trimmed(value, digits)}${narrow}${unit.slice(7)}`;
  if (unit.startsWith("prefix:")) return `${unit.slice(7)}${trimmed(value, digits)}`;
  if (unit === "dateTimeAsIso" || unit === "dateTimeFromNow") return new Date(value).toLocaleString("en-GB");
  return `${scaled(value, short, digits)}${perUnit[unit] ?? ""}`;
};
