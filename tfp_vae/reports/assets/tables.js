// Tables that sort by the column whose heading is selected.

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const value = (row, column) => row.cells[column].dataset.value;
  headings.forEach((heading, column) => {
    heading.querySelector("button")?.addEventListener("click", () => {
      const up = heading.getAttribute("aria-sort") !== "ascending", sign = up ? 1 : -1;
      headings.forEach(each => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const compare = (a, b) => a.localeCompare(b, undefined, { numeric: true });
      const number = [...body.rows].every(row => value(row, column) !== "" && !Number.isNaN(Number(value(row, column))));
      const order = number ? (a, b) => Number(a) - Number(b) : compare;
      body.append(...[...body.rows].sort((a, b) => sign * order(value(a, column), value(b, column))));
    });
  });
}
