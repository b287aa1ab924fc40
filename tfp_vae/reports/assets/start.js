// Show the parts of the page that need this script, and start them.

document.documentElement.classList.add("js");
document.querySelectorAll(".live").forEach(element => { element.hidden = false; });
document.querySelectorAll("table.sortable").forEach(makeSortable);

if (data.curves) {
  document.querySelectorAll(".curve").forEach(element => drawCurve(element, data.curves, "epochs"));
}

if (data.explorer) {
  const { explorer } = data, { points, map, walks, features } = explorer;
  const limits = limitsOf(points.sheet, map?.sheet, walks?.sheet);
  const examples = new Sheet(points.sheet, features, limits);
  document.querySelectorAll("[data-example]").forEach(cell => examples.show(cell, Number(cell.dataset.example)));
  if (map) {
    if (points.sheet.cells !== null) document.querySelector(".pair").classList.add("tall");
    const legend = document.getElementById("legend");
    if (legend) drawLegend(legend, explorer.classes);
    new LatentMap(document.getElementById("map"), explorer, new Sheet(map.sheet, features, limits), examples);
  }
  if (walks) {
    const target = document.getElementById("walks");
    target.classList.toggle("tall", walks.sheet.cells !== null);
    drawWalks(target, walks, new Sheet(walks.sheet, features, limits));
  }
}
