// One network at a time from the start, a filter for rows, and links that reach hidden rows.
for (const nets of document.querySelectorAll(".nets")) {
  const first = nets.querySelector(":scope > .first")?.dataset.n;
  const radio = nets.querySelector(`:scope > .pick input[value="${first}"]`);
  if (radio) radio.checked = true;
  nets.classList.add("ready");
  const find = nets.querySelector(":scope > .tools .find");
  if (!find) continue;
  find.hidden = false;
  const rows = [...nets.querySelectorAll("tbody tr")].map((row) => [row,
    [...row.querySelectorAll("th, .t")].map((c) => c.textContent).join(" ").toLowerCase()]);
  const filter = () => {
    const wanted = find.control.value.trim().toLowerCase();
    for (const [row, text] of rows) row.hidden = !text.includes(wanted);
    const shown = rows.filter(([row]) => row.closest("table").checkVisibility());
    const left = shown.filter(([row]) => row.checkVisibility()).length;
    nets.querySelector(".count").textContent =
      left < shown.length ? `${left} of ${shown.length} rows` : "";
  };
  find.addEventListener("input", filter);
  for (const input of nets.querySelectorAll(":scope > .pick input, .only input"))
    input.addEventListener("change", filter);
}
const go = (id) => {
  const target = id && document.getElementById(id);
  if (!target) return;
  for (let at = target; at; at = at.parentElement) {
    if (at.matches("details")) at.open = true;
    if (!at.matches("[data-n]")) continue;
    const choose = at.parentElement.querySelector(`:scope > .pick input[value="${at.dataset.n}"]`);
    if (choose) choose.checked = true;
  }
  if (target.matches("tr") && !target.checkVisibility())
    for (const input of target.closest(".nets").querySelectorAll(".tools input")) {
      input.checked = false;
      if (input.type === "search") input.value = "";
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
  if (target.matches("tr")) target.tabIndex = -1;
  if (target.hasAttribute("tabindex")) {
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "center", inline: "nearest" });
  }
};
addEventListener("hashchange", () => go(location.hash.slice(1)));
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="#"]');
  const hash = link?.getAttribute("href");
  if (hash && hash === location.hash) go(hash.slice(1));
});
addEventListener("load", () => go(location.hash.slice(1)));
