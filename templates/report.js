// What the report does when someone acts on it: themes, sorting, what a number tells, figures at full size.
// Without it everything can be read; so whatever can be pressed is made here.
(() => {
  "use strict";

  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const data = JSON.parse(document.getElementById("data-of-numbers").textContent);
  const NAMESPACE = "http://www.w3.org/2000/svg";

  /** An element with properties and children; strings become text. */
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  function draw(tag, attributes, ...children) {
    const element = document.createElementNS(NAMESPACE, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const button = (text, act, className = "plain") => make("button", { type: "button", className, onclick: act }, text);

  // ---- Light and dark. A browser may keep no storage for files on a disk.
  function themes() {
    const root = document.documentElement;
    const stored = { get: () => { try { return localStorage.getItem("seesaw-theme"); } catch { return null; } },
                     set: (theme) => { try { localStorage.setItem("seesaw-theme", theme); } catch { /* kept for this page alone */ } } };
    const system = matchMedia("(prefers-color-scheme: dark)");
    const current = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
    const other = () => (current() === "dark" ? "light" : "dark");
    const chosen = stored.get();
    if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
    const toggle = button("", () => { root.dataset.theme = other(); stored.set(root.dataset.theme); name(); }, "plain theme");
    const name = () => { toggle.textContent = other() === "dark" ? "Dark theme" : "Light theme"; };
    system.addEventListener("change", name);
    name();
    document.querySelector(".top").append(toggle);
  }

  // ---- Sorting, within each block of a table: best first, then the other way, then as it was.
  function sortable(table) {
    const bodies = all("tbody", table).map((body) => ({ body, rows: all("tr:not(.block)", body) }));
    const headers = all("thead th[data-kind]", table);
    const columnOf = (header) => {
      const row = header.parentElement;
      const first = row.previousElementSibling?.querySelector("th[rowspan]") ? 1 : 0;
      return first + [...row.children].indexOf(header);
    };
    const value = (row, column, kind) => {
      const cell = row.children[column];
      const text = cell.dataset.v ?? cell.textContent.trim();
      if (kind === "text") return text;
      const number = Number.parseFloat(text.replaceAll(",", "").replace("−", "-").replace(/^<\s*/, ""));
      // What is said to be below a number comes before it.
      return Number.isNaN(number) ? null : text.startsWith("<") ? number / 2 : number;
    };
    const compare = (a, b, direction) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
      return direction === "descending" ? -order : order;
    };
    const kindOf = (header, column) => {
      if (header.dataset.kind !== "auto") return header.dataset.kind;
      const rows = bodies.flatMap(({ rows }) => rows);
      return rows.some((row) => value(row, column, "low") !== null) ? "high" : "text";
    };
    function sort(header) {
      const column = columnOf(header);
      const kind = kindOf(header, column);
      const first = kind === "high" ? "descending" : "ascending";
      const last = first === "descending" ? "ascending" : "descending";
      const was = header.getAttribute("aria-sort");
      const next = was === first ? last : was === last ? "none" : first;
      for (const each of headers) each.setAttribute("aria-sort", each === header ? next : "none");
      for (const { body, rows } of bodies) {
        const sorted = next === "none" ? rows
          : rows.map((row) => [value(row, column, kind), row]).sort(([a], [b]) => compare(a, b, next)).map(([, row]) => row);
        body.append(...sorted);
      }
    }
    for (const header of headers) {
      const press = button("", () => sort(header), "sort");
      press.append(...header.childNodes);
      if (header.dataset.name) press.setAttribute("aria-label", `${header.dataset.name}, sort`);
      header.append(press);
      header.setAttribute("aria-sort", "none");
    }
  }

  // ---- What a number tells: on a click it stays, under the pointer it is a glance.
  const panel = make("div", { className: "panel", hidden: true, tabIndex: -1 });
  panel.setAttribute("role", "dialog");
  panel.setAttribute("aria-labelledby", "panel-title");
  let shown = null;
  let stays = false;
  let timer = 0;

  function strip(told) {
    const values = told.seeds.flatMap((seed) => (seed.exact === null ? [] : [seed.exact]));
    if (values.length < 2) return null;
    const papers = told.paper.map((paper) => paper.exact);
    const everything = [...values, ...papers];
    const [low, high] = [Math.min(...everything), Math.max(...everything)];
    const x = (value) => 12 + (276 * (value - low)) / (high - low || 1);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const line = (value, name) => draw("line", { x1: x(value), x2: x(value), y1: 4, y2: 24, class: name });
    const label = (value, anchor) => draw("text", { x: x(value), y: 38, "text-anchor": anchor }, value.toFixed(2));
    const drawing = draw("svg", { viewBox: "0 0 300 42", class: "strip", role: "img", "aria-label": "The seeds' values on a line" },
      draw("line", { x1: 4, x2: 296, y1: 14, y2: 14 }), line(mean, "mean"),
      ...values.map((value) => draw("circle", { cx: x(value), cy: 14, r: 4 })));
    drawing.append(...papers.map((paper) => line(paper, "paper")));
    if (high > low) drawing.append(label(low, "start"), label(high, "end"));
    return drawing;
  }

  function seeds(told) {
    const row = (seed) => {
      const training = data.trainings[seed.training];
      const key = (step) => (training?.keys[step] ? make("code", {}, training.keys[step].slice(0, 12)) : "");
      const cells = seed.value === null
        ? [make("td", { className: "cause", colSpan: told.seeds[0].step === "train" ? 2 : 3 }, seed.cause ?? "")]
        : [make("td", {}, seed.value), make("td", {}, key("train")), ...(seed.step === "train" ? [] : [make("td", {}, key(seed.step))])];
      return make("tr", {}, make("th", { scope: "row" }, String(seed.seed)), ...cells);
    };
    const step = told.seeds[0]?.step;
    const heads = ["Seed", "Value", "train", ...(step === "train" ? [] : [step])];
    return make("table", {},
      make("caption", { className: "aside" }, "Seeds with the keys of their steps"),
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...told.seeds.map(row)));
  }

  function hashes(told) {
    const lines = told.seeds.flatMap((seed) => {
      const training = data.trainings[seed.training];
      if (!training) return [];
      const pairs = [...Object.entries(training.keys).map(([name, key]) => [`key of ${name}`, key]),
                     ...Object.entries(training.inputs).map(([name, hash]) => [`SHA-256 of ${name}`, hash])];
      return [make("h3", {}, `Seed ${seed.seed}`), make("dl", {}, ...pairs.flatMap(([name, hash]) =>
        [make("dt", {}, name), make("dd", {}, make("code", {}, hash))]))];
    });
    return lines.length ? make("details", {}, make("summary", {}, "Keys and hashes in full"), ...lines) : null;
  }

  function fill(told) {
    const quiet = (...children) => make("p", { className: "quiet" }, ...children);
    panel.replaceChildren(...[
      make("h2", { id: "panel-title" }, told.title),
      quiet(`${told.quantity}: ${told.meaning}, in ${told.unit}`),
      make("p", { className: "value" }, told.mean, told.std ? make("small", {}, ` ± ${told.std}`) : null),
      quiet(told.estimator, told.negative_transfer ? "; negative transfer: above the full score" : ""),
      told.interval ? make("p", {}, told.interval) : null,
      ...told.paper.map((paper) => make("p", {}, `The paper's ${paper.place}: ${paper.value}; ours minus it: ${paper.difference}`)),
      strip(told), seeds(told), ...(told.comparisons.length ? [make("h3", {}, "Compared over the same seeds")] : []),
      ...told.comparisons.map((words) => quiet(words)), make("h3", {}, "Made again, and explained, by"),
      ...told.commands.map((command) => make("pre", {}, make("code", {}, command))), hashes(told),
      make("button", { type: "button", className: "plain close", onclick: () => hide(true), ariaLabel: "Close" }, "×"),
    ].filter((part) => part !== null));
  }

  function place(at) {
    const box = at.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = panel;
    const [across, down] = [document.documentElement.clientWidth, innerHeight];
    const within = (at, size, most) => Math.max(8, Math.min(at, most - size - 8));
    let [left, top] = [within(box.left, width, across), box.bottom + 6];
    if (top + height > down) top = box.top - height - 6;
    if (top < 8) {
      // Neither below nor above: beside it, so that the number itself stays in sight.
      top = within(box.top - height / 2, height, down);
      left = box.right + 6 + width <= across ? box.right + 6 : within(box.left - width - 6, width, across);
    }
    panel.style.left = `${left}px`;
    panel.style.top = `${top}px`;
  }

  function show(at, stay) {
    clearTimeout(timer);
    if (shown && shown !== at) hide(false);
    shown = at;
    stays = stay;
    fill(data.numbers[at.dataset.n]);
    panel.hidden = false;
    place(at);
    at.setAttribute("aria-expanded", "true");
    if (stay) panel.focus({ preventScroll: true });
  }

  function hide(back) {
    clearTimeout(timer);
    if (!shown) return;
    const was = shown;
    shown.setAttribute("aria-expanded", "false");
    shown = null;
    panel.hidden = true;
    if (back && stays) was.focus({ preventScroll: true });
  }

  function askable(table) {
    const numbers = () => all("button.n", table);
    for (const span of all("span.n[data-n]", table)) {
      const told = data.numbers[span.dataset.n];
      const press = make("button", { type: "button", className: "n" }, ...span.childNodes);
      press.dataset.n = span.dataset.n;
      press.setAttribute("aria-haspopup", "dialog");
      press.setAttribute("aria-expanded", "false");
      press.append(make("span", { className: "aside" }, ` ${told.title}, ${told.quantity}`));
      press.tabIndex = -1;
      span.replaceWith(press);
      press.onclick = () => (shown === press && stays ? hide(true) : show(press, true));
      press.onpointerenter = (event) => {
        if (event.pointerType !== "mouse" || (shown && stays)) return;
        clearTimeout(timer);
        timer = setTimeout(() => show(press, false), 300);
      };
      press.onpointerleave = () => {
        if (stays && shown) return;
        clearTimeout(timer);
        timer = setTimeout(() => hide(false), 250);
      };
    }
    // One stop for the tabulator key per table; arrows move within it.
    const first = numbers()[0];
    if (first) first.tabIndex = 0;
    table.addEventListener("focusin", (event) => {
      if (!event.target.matches("button.n")) return;
      for (const each of numbers()) each.tabIndex = each === event.target ? 0 : -1;
    });
    table.addEventListener("keydown", (event) => {
      const from = event.target.closest("button.n");
      const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!from || !by) return;
      event.preventDefault();
      const rows = all("tbody tr:not(.block)", table);
      const cell = from.closest("td");
      let [row, column] = [rows.indexOf(cell.parentElement), cell.cellIndex];
      for (;;) {
        [row, column] = [row + by[0], column + by[1]];
        const next = rows[row]?.cells[column];
        if (!next) return;
        const press = next.querySelector("button.n");
        if (press) return void press.focus();
      }
    });
  }

  function panels() {
    document.body.append(panel);
    panel.onpointerenter = () => clearTimeout(timer);
    panel.onpointerleave = () => { if (!stays) timer = setTimeout(() => hide(false), 250); };
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(true); });
    document.addEventListener("pointerdown", (event) => {
      if (shown && !panel.contains(event.target) && !shown.contains(event.target)) hide(false);
    });
    document.addEventListener("focusin", (event) => {
      if (shown && stays && !panel.contains(event.target) && !shown.contains(event.target)) hide(false);
    });
    addEventListener("scroll", () => { if (shown && !stays) hide(false); }, { passive: true });
    addEventListener("resize", () => { if (shown) place(shown); });
  }

  // ---- A figure at full size: the drawing itself moves into the dialog and back, so that its ids stay unique.
  function zooms() {
    const canvas = make("div", { className: "canvas" });
    const name = make("span");
    const dialog = make("dialog", { className: "zoom" });
    let [drawing, home, whole, view] = [null, null, null, null];
    const apply = () => drawing.setAttribute("viewBox", [view.x, view.y, view.w, view.h].join(" "));
    const reset = () => { view = { ...whole }; apply(); };
    /** Scales around a point of the canvas, given in shares of its sides. */
    function scale(factor, px = 0.5, py = 0.5) {
      const w = Math.min(whole.w * 1.5, Math.max(whole.w / 24, view.w * factor));
      const h = (w * whole.h) / whole.w;
      view = { x: view.x + (view.w - w) * px, y: view.y + (view.h - h) * py, w, h };
      apply();
    }
    function move(dx, dy) { view = { ...view, x: view.x + dx * view.w, y: view.y + dy * view.h }; apply(); }
    /** A point of the screen as shares of the visible part of the drawing, which keeps its proportions. */
    function share(event) {
      const box = canvas.getBoundingClientRect();
      const unit = Math.min(box.width / view.w, box.height / view.h);
      return [0.5 + (event.clientX - box.left - box.width / 2) / (unit * view.w),
              0.5 + (event.clientY - box.top - box.height / 2) / (unit * view.h)];
    }
    function open(figure) {
      home = figure.querySelector(".drawing");
      drawing = home.querySelector("svg");
      const [x, y, w, h] = drawing.getAttribute("viewBox").split(" ").map(Number);
      whole = { x, y, w, h };
      view = { ...whole };
      home.style.minHeight = `${home.offsetHeight}px`;
      const title = figure.querySelector("figcaption b").textContent;
      name.textContent = title;
      dialog.setAttribute("aria-label", `${title}, enlarged`);
      canvas.append(drawing);
      dialog.showModal();
    }
    dialog.addEventListener("close", () => {
      reset();
      home.prepend(drawing);
      home.style.minHeight = "";
    });
    dialog.addEventListener("keydown", (event) => {
      const act = { "+": () => scale(0.8), "=": () => scale(0.8), "-": () => scale(1.25), 0: reset, ArrowLeft: () => move(-0.1, 0),
        ArrowRight: () => move(0.1, 0), ArrowUp: () => move(0, -0.1), ArrowDown: () => move(0, 0.1) }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      scale(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.004), ...share(event));
    }, { passive: false });
    const pointers = new Map();
    const spread = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY); };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); pointers.set(event.pointerId, event); });
    canvas.addEventListener("pointermove", (event) => {
      if (!pointers.has(event.pointerId)) return;
      const [from, before] = [share(pointers.get(event.pointerId)), pointers.size === 2 ? spread() : 0];
      pointers.set(event.pointerId, event);
      const to = share(event);
      if (pointers.size === 1) move(from[0] - to[0], from[1] - to[1]);
      if (pointers.size === 2) scale(before / Math.max(1, spread()), ...to);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
    dialog.append(make("div", { className: "bar" }, name, button("Zoom in", () => scale(0.8)), button("Zoom out", () => scale(1.25)),
      button("Whole figure", reset), button("Close", () => dialog.close())), canvas);
    document.body.append(dialog);
    for (const figure of all("figure")) {
      const caption = figure.querySelector("figcaption");
      const press = button("Enlarge", () => open(figure), "plain enlarge");
      press.setAttribute("aria-label", `Enlarge ${caption.querySelector("b").textContent}`);
      caption.append(press);
    }
  }

  // ---- Where the reader is.
  function sections() {
    const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
    const seen = new Set();
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) isIntersecting ? seen.add(target.id) : seen.delete(target.id);
      const here = [...links.keys()].find((id) => seen.has(id));
      for (const [id, link] of links) id === here ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
    }, { rootMargin: "-10% 0px -60% 0px" });
    for (const section of all("main > section")) observer.observe(section);
  }

  themes();
  for (const table of all("table.numbers")) askable(table);
  for (const table of all("table.sortable")) sortable(table);
  panels();
  zooms();
  sections();
})();
