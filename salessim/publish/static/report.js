// Numbers in tables stand under each other: a column of figures is aligned to the right. Days do not break.
const NUMBER = String.raw`(?:[A-Z]{3} )?[-+−]?\d[\d,. ]*(?: ?(?:%|×|k|m|bn|days?|weeks?|months?|points?|pp))?`;
const FIGURE = new RegExp(`^${NUMBER}(?: ?(?:to|–|of|±) ?${NUMBER})?$`);
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const MISSING = new Set(["", "–", "-", "nan", "NaN", "None", "<NA>"]);

function alignFigures(table) {
  const rows = [...table.querySelectorAll("tbody tr")].map((row) => [...row.cells]);
  const width = Math.max(0, ...rows.map((cells) => cells.length));
  for (let column = 0; column < width; column += 1) {
    const cells = rows.map((row) => row[column]).filter(Boolean);
    for (const cell of cells) {
      if (DAY.test(cell.textContent.trim())) cell.classList.add("day-cell");
    }
    const texts = cells.map((cell) => cell.textContent.trim());
    const filled = texts.filter((text) => !MISSING.has(text));
    if (filled.length === 0 || !filled.every((text) => FIGURE.test(text))) continue;
    const heads = [...table.querySelectorAll("thead tr")].map((row) => row.cells[column]).filter(Boolean);
    for (const cell of [...cells, ...heads]) cell.classList.add("figure-cell");
  }
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".bd-article table").forEach(alignFigures);
});

// On paper everything is open: nobody can click.
window.addEventListener("beforeprint", () => {
  document.querySelectorAll(".provenance details").forEach((box) => {
    box.open = true;
  });
});
