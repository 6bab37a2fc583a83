"use strict";
// Draw the figures of a page, and update the page until its study has ended. A zoom is preserved.

// No buttons to select points, and none that uploads the figure to a server of Plotly.
const CONFIG = {
  responsive: true,
  displaylogo: false,
  showSendToCloud: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d"],
};
const LAYOUT = {
  // Any constant value: Plotly keeps the zoom while it does not change.
  uirevision: "kept",
  margin: {l: 70, r: 45, t: 30, b: 55},
  // The buttons are beside the points, since a horizontal bar would cover the title.
  modebar: {orientation: "v"},
  legend: {orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom"},
};

function parts(page) {
  return Array.from(page.querySelectorAll("[data-live], .figure"), (part) => part.id).join();
}

function draw(page) {
  for (const {dataset, textContent} of page.querySelectorAll("script[data-figure]")) {
    const {data, layout: {title, ...layout}} = JSON.parse(textContent);
    // Plotly does not wrap titles, which are wider than a phone.
    document.getElementById(dataset.figure).previousElementSibling.textContent = title.text;
    Plotly.react(dataset.figure, data, {...layout, ...LAYOUT}, CONFIG);
  }
}

function update(page) {
  // A page with other parts, such as the first figures of a study, is loaded as a whole.
  if (parts(page) !== parts(document)) return location.reload();
  for (const part of page.querySelectorAll("[data-live]")) {
    const section = document.getElementById(part.id);
    // Unchanged sections are left alone: a reader may have selected text in them. The source is compared, since browsers
    // normalise the HTML of an element.
    if (section.dataset.source !== part.innerHTML) {
      const ticked = Array.from(section.querySelectorAll("input:checked"), (box) => box.value);
      section.innerHTML = part.innerHTML;
      section.dataset.source = part.innerHTML;
      for (const box of section.querySelectorAll("input")) box.checked = ticked.includes(box.value);
    }
  }
  draw(page);
  document.body.dataset.every = page.body.dataset.every;
}

// optuna-dashboard needs absolute addresses, so its links are dead behind a proxy that adds a path.
function removeDeadLinks() {
  // The server wrote the path that it was asked for into the page; behind such a proxy the browser's path is longer.
  if (decodeURIComponent(location.pathname) === document.body.dataset.path) return;
  for (const link of document.querySelectorAll("a.beyond")) link.replaceWith(link.textContent);
  document.getElementById("prefix").hidden = false;
}

async function refresh() {
  const trouble = document.getElementById("trouble");
  try {
    const response = await fetch(location.href, {cache: "no-store"});
    // The study was deleted: show the page that says so.
    if (response.status === 404) return location.reload();
    if (!response.ok) throw new Error(response.status === 503 ? "the database does not answer" : `status ${response.status}`);
    update(new DOMParser().parseFromString(await response.text(), "text/html"));
    trouble.textContent = "";
  } catch (error) {
    // The time of the first failure stays until the server answers again.
    trouble.textContent ||= `No update since ${new Date().toLocaleTimeString()} (${error.message}); retrying.`;
  }
  removeDeadLinks();
  scheduleRefresh();
}

function scheduleRefresh() {
  // 0 for a study that has ended.
  const seconds = Number(document.body.dataset.every);
  if (seconds) setTimeout(refresh, 1000 * seconds);
}

draw(document);
removeDeadLinks();
scheduleRefresh();
