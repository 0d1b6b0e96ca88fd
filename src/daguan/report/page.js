"use strict";
/* Sortable tables, hints on plots and tokens, and light or dark. */
const page = { store: (() => { try { return window.localStorage; } catch { return null; } })(), hintOf: () => "" };  // what the explorer shares
(function () {
  const $ = (id) => document.getElementById(id);

  // Sortable tables.
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, index) => head.firstChild.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending" && !(index === 0 && head.getAttribute("aria-sort") === "none");
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[index].dataset.v, sign = down ? -1 : 1;
      const number = (text) => (text === "" ? NaN : Number(text));
      const rows = [...table.tBodies[0].rows].map((row) => [row, value(row), number(value(row))]);
      rows.sort(([, a, x], [, b, y]) => (a === "") - (b === "") || sign * (isNaN(x) || isNaN(y) ? a.localeCompare(b) : x - y));
      table.tBodies[0].append(...rows.map(([row]) => row));
    }));
  }

  // Light or dark.
  const store = page.store, theme = store && store.getItem("daguan-theme");
  if (theme) document.documentElement.dataset.theme = theme;
  $("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    const next = dark === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    if (store) store.setItem("daguan-theme", next);
  });

  // Hints on marks of plots and on tokens.
  const tip = $("tip");
  function hint(text, x, y) {
    tip.textContent = text;
    tip.style.display = text ? "block" : "none";
    if (!text) return;
    tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = (y + 22 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 16) + "px";
  }
  document.addEventListener("mousemove", (event) => {
    const token = event.target.closest && event.target.closest(".tok");
    const mark = event.target.closest && event.target.closest(".plots [aria-roledescription='point'], .plots [aria-roledescription='bar'], .plots path[aria-label]");
    hint(token ? page.hintOf(token) : mark ? mark.getAttribute("aria-label") || "" : "", event.clientX, event.clientY);
  });
})();
