"use strict";
// Draws the figures of a page, and takes in what is new until there is no more to come. A zoom stays as it is.

// Without the buttons that mark points, and the one that would send the figure to a server of Plotly's.
const CONFIG = {
  responsive: true,
  displaylogo: false,
  showSendToCloud: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d"],
};
const LAYOUT = {
  uirevision: "kept",
  margin: {l: 70, r: 45, t: 70, b: 55},
  // Beside the points, not over the title.
  modebar: {orientation: "v"},
  legend: {orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom"},
};

function parts(page) {
  return Array.from(page.querySelectorAll("[data-live], .figure"), (part) => part.id).join();
}

function draw(page) {
  for (const {dataset, textContent} of page.querySelectorAll("script[data-figure]")) {
    const figure = JSON.parse(textContent);
    Plotly.react(dataset.figure, figure.data, {...figure.layout, ...LAYOUT}, CONFIG);
  }
}

function takeIn(page) {
  if (parts(page) !== parts(document)) return location.reload();
  for (const part of page.querySelectorAll("[data-live]")) {
    const shown = document.getElementById(part.id);
    // What has not changed may be marked by a reader who is about to copy it.
    if (shown.dataset.seen !== part.innerHTML) {
      shown.innerHTML = shown.dataset.seen = part.innerHTML;
    }
  }
  draw(page);
  document.body.dataset.every = page.body.dataset.every;
}

// optuna-dashboard asks for absolute addresses: behind a proxy that adds a path there is nothing at its links.
function withoutDeadLinks() {
  if (decodeURIComponent(location.pathname) === document.body.dataset.path) return;
  for (const link of document.querySelectorAll("a.beyond")) link.replaceWith(link.textContent);
  document.getElementById("prefix").hidden = false;
}

async function refresh() {
  const trouble = document.getElementById("trouble");
  try {
    const answer = await fetch(location.href, {cache: "no-store"});
    if (answer.status === 404) return location.reload();
    if (!answer.ok) throw new Error(answer.status === 503 ? "the database does not answer" : `status ${answer.status}`);
    takeIn(new DOMParser().parseFromString(await answer.text(), "text/html"));
    trouble.textContent = "";
  } catch (error) {
    trouble.textContent ||= `No news since ${new Date().toLocaleTimeString()} (${error.message}); trying again.`;
  }
  withoutDeadLinks();
  again();
}

function again() {
  const seconds = Number(document.body.dataset.every);
  if (seconds) setTimeout(refresh, 1000 * seconds);
}

draw(document);
withoutDeadLinks();
again();
