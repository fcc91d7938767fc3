// What the shop learns from the browser: Core Web Vitals and crashes, and nothing without the shopper's consent.
//
// The page marks consent as <html data-analytics="granted">. It is read when something is sent, not when the script
// starts, so that an answer given on this very page counts. Beacons outlive the page; one that the browser refuses
// (its queue is full) is lost, which is acceptable for behaviour facts.

import { onCLS, onFCP, onINP, onLCP, onTTFB } from "web-vitals";

import "./storefront/countdown.js";
import "./storefront/menus.js";

const address = "/api/insight/v1/events";

// A page that throws in a loop must not become a load test of the shop.
const crashesPerPage = 5;
let crashes = 0;

const consented = () => document.documentElement.dataset.analytics === "granted";

const send = (event) => {
  if (!consented()) return;
  const body = JSON.stringify({ events: [{ ...event, path: location.pathname }] });
  navigator.sendBeacon(address, new Blob([body], { type: "application/json" }));
};

const vital = ({ name, value, delta, id, rating }) =>
  send({ type: "browser.web_vital", name, value, delta, id, rating });

// A message may quote what the shopper typed: only the error's kind and the place in our own code are told.
const crash = (kind, error, place) => {
  crashes += 1;
  if (crashes <= crashesPerPage) send({ type: "browser.crash", kind, name: error?.name ?? "Error", place });
};

addEventListener("error", (event) => {
  const file = event.filename ? new URL(event.filename, location.href).pathname : "";
  crash("error", event.error, `${file}:${event.lineno}:${event.colno}`);
});
addEventListener("unhandledrejection", (event) => crash("unhandled_rejection", event.reason, ""));

// A browser that a program drives says so: its visit is nobody's.
if (navigator.webdriver) fetch("/seen.css?driven", { keepalive: true }).catch(() => {});

for (const measure of [onCLS, onFCP, onINP, onLCP, onTTFB]) measure(vital);
