// The button that a page without scripts cannot have.
const button = document.getElementById("print");
button.hidden = false;
button.addEventListener("click", () => window.print());
