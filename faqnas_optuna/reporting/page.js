"use strict";
// Texts under the mouse, and tables that a click on a heading sorts. Without this script the page is complete.

const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);
for (const title of document.querySelectorAll(".spots title")) {
  // A browser shows titles late, and on touch screens never.
  title.parentNode.dataset.text = title.textContent;
  title.remove();
}

document.addEventListener("pointerover", ({target}) => {
  const text = target.dataset?.text;
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const spot = target.getBoundingClientRect();
  const left = Math.min(spot.right + 6, document.documentElement.clientWidth - tip.offsetWidth - 6);
  // Above the point where the window ends below it.
  const below = spot.bottom + 6;
  const top = below + tip.offsetHeight > window.innerHeight ? spot.top - tip.offsetHeight - 6 : below;
  tip.style.left = `${Math.max(left, 6) + scrollX}px`;
  tip.style.top = `${top + scrollY}px`;
});

function key(row, column) {
  const cell = row.cells[column];
  const text = cell.textContent.trim();
  // Of an interval the lower end counts; a dash, for no value, is no number.
  return cell.className === "number" ? parseFloat(text.replace(/,/g, "").replace("−", "-")) : text;
}

function compare(one, other) {
  if (typeof one === "string") return one.localeCompare(other, "en", {numeric: true});
  return one - other;
}

document.addEventListener("click", ({target}) => {
  const heading = target.closest("th");
  if (!heading) return;
  const direction = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const cell of heading.parentNode.cells) cell.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  const body = heading.closest("table").tBodies[0];
  const rows = Array.from(body.rows, (row) => ({row, value: key(row, heading.cellIndex)}));
  rows.sort((one, other) => {
    // Rows without a value are last in both directions.
    const absent = Number.isNaN(one.value) - Number.isNaN(other.value);
    if (absent || Number.isNaN(one.value)) return absent;
    return compare(one.value, other.value) * (direction === "ascending" ? 1 : -1);
  });
  body.append(...rows.map(({row}) => row));
});
