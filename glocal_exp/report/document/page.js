"use strict";
// On a screen that is touched, dragging moves the page; the buttons above a panel zoom.
const touched = matchMedia("(pointer: coarse)").matches;
const removed = ["select2d", "lasso2d", "toImage"];
const config = { responsive: true, displaylogo: false, displayModeBar: touched, modeBarButtonsToRemove: removed };
const BUTTONS = 34; // pixels that they need above a panel, so that they cover nothing of it
const PRINTED = 320; // pixels: two panels on a sheet of A4

function drawn(chart) {
  const panels = JSON.parse(chart.querySelector("script").textContent);
  return [...chart.querySelectorAll(".panel")].map((place, number) => {
    const { data, layout } = panels[number];
    const above = touched ? BUTTONS : layout.margin.t;
    const margin = { ...layout.margin, t: above };
    return Plotly.newPlot(place, data, { ...layout, margin, dragmode: touched ? false : "zoom" }, config);
  });
}

// A trace is seen if nothing that it belongs to is switched off.
function apply(chart) {
  const off = [...chart.querySelectorAll('button[aria-pressed="false"]')].map((button) => button.dataset);
  for (const place of chart.querySelectorAll(".panel")) {
    const seen = place.data.map(({ meta }) => !off.some(({ key, value }) => meta[key] === value));
    Plotly.restyle(place, { visible: seen });
  }
}

async function start() {
  for (const chart of document.querySelectorAll(".chart")) {
    await Promise.all(drawn(chart));
    chart.addEventListener("click", ({ target }) => {
      const button = target.closest(".switches button");
      if (!button) return;
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") === "false");
      apply(chart);
    });
    await new Promise(requestAnimationFrame); // the page answers in between
  }
  document.body.dataset.drawn = "true";
}

const all = (layout) => document.querySelectorAll(".panel.js-plotly-plot").forEach((place) => Plotly.relayout(place, layout));
addEventListener("beforeprint", () => all({ autosize: false, width: PRINTED }));
addEventListener("afterprint", () => all({ autosize: true, width: null }));
start();
