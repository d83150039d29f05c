// What the report does beyond plain HTML: themes, sorting, arrow keys between numbers, enlarged figures.
// Controls that need this script are made by it: without it, the page has none that do nothing.
(() => {
  "use strict";

  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  const rowsOf = (body) => [...body.rows].filter((row) => !row.classList.contains("block"));

  function button(text, act, className = "plain") {
    const element = document.createElement("button");
    Object.assign(element, { type: "button", className, textContent: text, onclick: act });
    return element;
  }

  // Light and dark. A browser may refuse storage to files on disk: then the choice lasts as long as the page.
  function themes() {
    const root = document.documentElement;
    const system = matchMedia("(prefers-color-scheme: dark)");
    const other = () => ((root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark" ? "light" : "dark");
    const name = () => { toggle.textContent = other() === "dark" ? "Dark theme" : "Light theme"; };
    const toggle = button("", () => {
      root.dataset.theme = other();
      try { localStorage.setItem("seesaw-theme", root.dataset.theme); } catch { /* not stored */ }
      name();
    }, "plain theme");
    try {
      const chosen = localStorage.getItem("seesaw-theme");
      if (chosen) root.dataset.theme = chosen;
    } catch { /* nothing is stored */ }
    system.addEventListener("change", name);
    name();
    document.querySelector(".top").append(toggle);
  }

  // Sorts the rows of each block of a table: best first, then the other way, then in the original order.
  function sortable(table) {
    const bodies = [...table.tBodies].map((body) => [body, rowsOf(body)]);
    const headers = all("thead th[data-kind]", table);
    const value = (row, column, kind) => {
      const cell = row.cells[column];
      const text = cell.dataset.v ?? cell.textContent.trim();
      if (kind === "text") return text;
      const number = Number.parseFloat(text.replaceAll(",", "").replace("−", "-").replace("< ", ""));
      return Number.isNaN(number) ? null : number;
    };
    const compare = (a, b, next) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
      return next === "descending" ? -order : order;
    };
    function sort(header) {
      // A cell of the row above spans both rows.
      const column = header.cellIndex + (header.parentElement.rowIndex > 0 ? 1 : 0);
      const { kind } = header.dataset;
      const order = kind === "high" ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
      const next = order[(order.indexOf(header.ariaSort) + 1) % 3];
      for (const each of headers) each.ariaSort = each === header ? next : "none";
      for (const [body, rows] of bodies) {
        const keyed = rows.map((row) => [value(row, column, kind), row]);
        if (next !== "none") keyed.sort(([a], [b]) => compare(a, b, next));
        body.append(...keyed.map(([, row]) => row));
      }
    }
    for (const header of headers) {
      const press = button(header.textContent, () => sort(header), "sort");
      if (header.dataset.name) press.ariaLabel = `${header.dataset.name}, sort`;
      header.replaceChildren(press);
      header.ariaSort = "none";
    }
  }

  // The Tab key stops once per table; arrow keys move from number to number.
  function arrows(table) {
    const numbers = all("button.n", table);
    numbers.forEach((number, at) => { number.tabIndex = at === 0 ? 0 : -1; });
    table.addEventListener("focusin", ({ target }) => {
      if (target.matches("button.n")) for (const number of numbers) number.tabIndex = number === target ? 0 : -1;
    });
    table.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!by || !event.target.matches("button.n")) return;
      event.preventDefault();
      const rows = [...table.tBodies].flatMap(rowsOf);
      const cell = event.target.closest("td");
      let [row, column] = [rows.indexOf(cell.parentElement), cell.cellIndex];
      let next = null;
      do {
        [row, column] = [row + by[0], column + by[1]];
        next = rows[row]?.cells[column];
      } while (next && !next.querySelector("button.n"));
      next?.querySelector("button.n").focus();
    });
  }

  // The Tab key stops once per figure; arrow keys move from spot to spot, and a spot says what it stands for.
  function spots(drawing) {
    const list = all("i", drawing);
    const tip = document.createElement("div");
    Object.assign(tip, { className: "tip", hidden: true });
    drawing.append(tip);
    const hide = () => { tip.hidden = true; };
    const show = (spot) => {
      tip.textContent = spot.ariaLabel;
      tip.hidden = false;
      const [left, top] = [spot.offsetLeft + spot.offsetWidth / 2, spot.offsetTop];
      const most = drawing.clientWidth - tip.offsetWidth;
      tip.style.left = `${Math.max(0, Math.min(most, left - tip.offsetWidth / 2))}px`;
      tip.style.top = `${top > tip.offsetHeight + 6 ? top - tip.offsetHeight - 6 : top + spot.offsetHeight + 6}px`;
    };
    list.forEach((spot, at) => {
      // A browser's own tooltip would stand beside ours.
      Object.assign(spot, { role: "img", ariaLabel: spot.title, title: "", tabIndex: at === 0 ? 0 : -1 });
      spot.onpointerenter = spot.onfocus = () => show(spot);
      spot.onpointerleave = spot.onblur = hide;
      spot.onkeydown = (event) => {
        const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
        if (event.key === "Escape") hide();
        const next = by && list[at + by];
        if (!next) return;
        event.preventDefault();
        [spot.tabIndex, next.tabIndex] = [-1, 0];
        next.focus();
      };
    });
  }

  // One dialog shows any figure; it scrolls, and its image is as large as the dialog times a scale.
  function figures() {
    const dialog = document.createElement("dialog");
    const bar = document.createElement("div");
    const name = document.createElement("span");
    const canvas = document.createElement("div");
    const image = document.createElement("img");
    let scale = 1;
    const to = (next) => {
      const factor = Math.min(16, Math.max(1, next)) / scale;
      const middle = [canvas.scrollLeft + canvas.clientWidth / 2, canvas.scrollTop + canvas.clientHeight / 2];
      scale *= factor;
      image.style.width = image.style.height = `${100 * scale}%`;
      canvas.scrollTo(middle[0] * factor - canvas.clientWidth / 2, middle[1] * factor - canvas.clientHeight / 2);
    };
    const keys = { "+": () => to(scale * 1.25), "=": () => to(scale * 1.25), "-": () => to(scale / 1.25), 0: () => to(1) };
    dialog.onkeydown = (event) => { if (!event.ctrlKey && !event.metaKey && !event.altKey) keys[event.key]?.(); };
    Object.assign(dialog, { className: "zoom" });
    Object.assign(canvas, { className: "canvas", tabIndex: 0, role: "group", ariaLabel: "Figure; arrow keys move it" });
    bar.className = "bar";
    bar.append(name, button("Zoom in", keys["+"]), button("Zoom out", keys["-"]), button("Whole figure", keys[0]),
      button("Close", () => dialog.close()));
    canvas.append(image);
    dialog.append(bar, canvas);
    document.body.append(dialog);
    for (const figure of all("figure")) {
      const title = figure.querySelector("figcaption b").textContent;
      const press = button("Enlarge", () => {
        const { src, alt } = figure.querySelector("img");
        Object.assign(image, { src, alt });
        name.textContent = title;
        dialog.ariaLabel = `${title}, enlarged`;
        dialog.showModal();
        to(1);
        canvas.focus();
      }, "plain enlarge");
      press.ariaLabel = `Enlarge ${title}`;
      figure.querySelector("figcaption").append(press);
    }
  }

  themes();
  all("table.numbers").forEach(arrows);
  all("table.sortable").forEach(sortable);
  all(".drawing").forEach(spots);
  figures();
  // A link into a closed part of the page opens it.
  const open = (hash) => {
    const details = hash && document.getElementById(hash.slice(1))?.closest("details");
    if (details) details.open = true;
  };
  for (const link of all('a[href^="#"]')) {
    link.addEventListener("click", () => {
      link.closest("[popover]")?.hidePopover();
      open(link.getAttribute("href"));
    });
  }
  open(location.hash);
})();
