// The operations console: pages are whole without this script; it keeps the overview current and draws the boards.
//
// A board's panels are asked for by number: the queries stay on the server (app/insight/console/boards.py). What is drawn of
// Grafana's model is listed in docs/boards.md.

import { keepCurrent } from "./console/live.js";
import { drawBoard } from "./console/board.js";

for (const element of document.querySelectorAll("[data-live]")) keepCurrent(element);
for (const form of document.querySelectorAll("form[data-board]")) drawBoard(form);
