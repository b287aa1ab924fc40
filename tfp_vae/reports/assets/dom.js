// The data of the page, and helpers to build elements and texts.

const data = JSON.parse(document.getElementById("data").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const element = tag === "svg" || tag === "polyline" || tag === "path"
    ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function variable(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Four significant digits, as in the tables of the page.
function text(value) {
  if (value === null || value === undefined) return "unknown";
  return (value === 0 ? "0" : String(Number(value.toPrecision(4)))).replace("-", "−");
}

// Colours of the palette that are too dark for a dark ground, and lighter ones.
const LIGHTER = { "#222222": "#e6e8eb", "#5b4b8a": "#a99bdd", "#0072b2": "#4aa3df", "#d55e00": "#f07f2e", "#8c6d31": "#b8954f" };

function visible(color) {
  return dark.matches ? LIGHTER[color.toLowerCase()] ?? color : color;
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
