(() => {
  "use strict";
  const NARROW_PX = 600;
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const options = { mode: "vega", renderer: "svg", actions: false, tooltip: { theme: "custom" } };
  const drawn = new Map();

  // A plot may have one form for wide and one for narrow pages.
  const form = (box) => {
    const plot = plots[box.dataset.plot];
    return box.clientWidth < NARROW_PX && plot.narrow ? plot.narrow : plot.wide;
  };

  // A plot that all files share gets the data of this one.
  const filled = (box, spec) => {
    if (box.dataset.own === undefined) return spec;
    const own = plots.own[Number(box.dataset.own)][box.dataset.plot];
    const values = (each) => (own[each.name] ? { ...each, values: own[each.name] } : each);
    return { ...spec, data: spec.data.map(values) };
  };

  const draw = async (box) => {
    const spec = form(box);
    if (drawn.get(box) === spec) return;
    drawn.set(box, spec);
    await vegaEmbed(box, filled(box, spec), options);
  };

  // One after the other from the top, with a breath now and then, so that a long page can be read,
  // sorted and scrolled while the rest of it is drawn.
  const AT_A_TIME_MS = 60;
  const breath = () => new Promise((resolve) => setTimeout(resolve));

  const drawAll = async () => {
    const root = document.documentElement;
    let since = performance.now();
    for (const box of document.querySelectorAll("[data-plot]")) {
      if (box.closest("details:not([open])")) continue;
      if (!root.dataset.shown && box.getBoundingClientRect().top > innerHeight) {
        root.dataset.shown = "yes"; // all that is in view
        await breath();
      }
      await draw(box);
      if (performance.now() - since < AT_A_TIME_MS) continue;
      await breath();
      since = performance.now();
    }
    root.dataset.drawn = "yes";
  };

  // Text sorts as text, cells with a key as numbers; what has none comes last.
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key === undefined ? cell.textContent.trim() : Number(cell.dataset.key);
  };
  const before = (a, b) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return typeof a === "number" ? a - b : a.localeCompare(b);
  };
  const sort = (button) => {
    const title = button.parentElement;
    const body = title.closest("table").tBodies[0];
    const down = title.getAttribute("aria-sort") === "ascending";
    for (const other of title.parentElement.cells) other.removeAttribute("aria-sort");
    title.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = (a, b) => {
      const pair = [value(a, title.cellIndex), value(b, title.cellIndex)];
      const unlike = typeof pair[0] !== typeof pair[1];
      return before(...pair) * (down && !unlike ? -1 : 1);
    };
    body.append(...[...body.rows].sort(order));
  };
  for (const button of document.querySelectorAll(".sortable button")) {
    button.addEventListener("click", () => sort(button));
  }

  // What is folded away is drawn when it is opened, and all of it for paper.
  for (const part of document.querySelectorAll("details")) {
    part.addEventListener("toggle", drawAll);
  }
  window.addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });

  window.addEventListener("resize", drawAll);
  drawAll();
})();
