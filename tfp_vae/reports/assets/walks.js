// Sliders along the active dimensions of z, each with the decoded example at its place.

function drawWalks(target, walks, sheet) {
  const middle = Math.floor(walks.levels.length / 2);
  walks.names.forEach((name, walk) => {
    const input = make("input", { type: "range", min: 0, max: walks.levels.length - 1, step: 1, value: middle });
    const example = make("div", { class: "example" }), output = make("output");
    const show = () => {
      const step = Number(input.value);
      output.textContent = `${text(walks.z[walk][step])}, at ${walks.levels[step]}`;
      input.setAttribute("aria-valuetext", output.textContent);
      sheet.show(example, walk * walks.levels.length + step);
    };
    input.addEventListener("input", show);
    target.append(make("div", { class: "walk" }, example, make("label", {}, name, input), output));
    show();
  });
}
