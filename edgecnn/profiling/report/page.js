(() => {
  "use strict";
  const NARROW_PX = 600;
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const options = { renderer: "svg", actions: false, tooltip: { theme: "custom" } };
  const drawn = new Map();

  // A plot may have one form for wide and one for narrow pages.
  const form = (box) => {
    const plot = plots[box.dataset.plot];
    return box.clientWidth < NARROW_PX && plot.narrow ? plot.narrow : plot.wide;
  };

  // A plot that all files share gets the data of this one.
  const filled = (box, spec) => {
    if (box.dataset.own === undefined) return spec;
    return { ...spec, datasets: plots.own[Number(box.dataset.own)][box.dataset.plot] };
  };

  const draw = async (box) => {
    const spec = form(box);
    if (drawn.get(box) === spec) return;
    drawn.set(box, spec);
    await vegaEmbed(box, filled(box, spec), options);
  };

  const drawAll = async () => {
    for (const box of document.querySelectorAll("[data-plot]")) await draw(box);
    document.documentElement.dataset.drawn = "yes";
  };

  window.addEventListener("resize", drawAll);
  drawAll();
})();
