// One figure of each .slides at a time: the one that its slider points at. Without scripts all lie in a row.
for (const slides of document.querySelectorAll(".slides")) {
  const slider = slides.querySelector("input");
  const figures = slides.querySelectorAll("figure");
  const show = () => {
    figures.forEach((figure, i) => { figure.hidden = i !== Number(slider.value); });
    slider.setAttribute("aria-valuetext", figures[slider.value].querySelector("figcaption").textContent);
  };
  slider.addEventListener("input", show);
  slides.classList.add("live");
  slides.querySelector(".row").removeAttribute("tabindex");
  show();
}
