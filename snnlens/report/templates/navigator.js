// A cursor over the depth: by arrow keys (a range), by pointer. The numbers are in the titles.
for (const nav of document.querySelectorAll(".navigator")) {
  const range = nav.querySelector("input");
  const places = [...nav.querySelectorAll(".hits a")].map((link) => {
    const title = link.querySelector("title");
    const [name, ...values] = title.textContent.split("\n");
    title.remove();
    return { name, values, href: link.getAttribute("href") };
  });
  const name = nav.querySelector(".here b");
  const row = nav.querySelector(".here a");
  const lanes = [...nav.querySelectorAll(".lane")].map((lane) =>
    ["quantity", "unit", "now"].map((part) => lane.querySelector("." + part)));
  const show = (index) => {
    const place = places[index];
    range.value = index;
    nav.style.setProperty("--at", index);
    name.textContent = place.name;
    row.hidden = !place.href;
    if (place.href) row.href = place.href;
    lanes.forEach(([, , now], i) => { now.textContent = place.values[i]; });
    range.setAttribute("aria-valuetext", [place.name, ...lanes.map(([quantity, unit], i) =>
      `${quantity.textContent} ${place.values[i]} ${unit?.textContent ?? ""}`)].join("; "));
  };
  const hits = nav.querySelector(".hits");
  const under = (event) => {
    const box = hits.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    show(Math.min(places.length - 1, Math.max(0, Math.floor(share * places.length))));
  };
  hits.addEventListener("pointermove", under);
  hits.addEventListener("click", (event) => {
    event.preventDefault();
    event.stopPropagation();
    under(event);
    range.focus({ preventScroll: true });
  });
  range.addEventListener("input", () => show(Number(range.value)));
  nav.querySelector(".reading").hidden = false;
  nav.classList.add("live");
  show(Number(nav.dataset.start));
}
