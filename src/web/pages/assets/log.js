// «/» leads to the search, by the key itself, whatever layout is on.
document.addEventListener("keydown", (event) => {
  if (event.code !== "Slash" || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  document.getElementById("search").focus();
});
