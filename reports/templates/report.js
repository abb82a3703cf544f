// What a click does, Enter and the space bar do too; and what a screen reader must know of the sorting.
document.addEventListener("keydown", (event) => {
  if ((event.key === "Enter" || event.key === " ") && event.target.matches(".sortable, .col-verdict")) {
    event.preventDefault();
    event.target.click();
  }
});
const tellOrder = () => {
  for (const column of document.querySelectorAll("#results-table .sortable")) {
    const order = { asc: "ascending", desc: "descending" };
    const found = Object.keys(order).find((name) => column.classList.contains(name));
    column.setAttribute("aria-sort", found ? order[found] : "none");
  }
};
document.addEventListener("click", () => setTimeout(tellOrder));
tellOrder();
