// Elements and words. Texts from data are set as text, never as markup: no name can become an element.
"use strict";

const find = (selector, within = document) => within.querySelector(selector);
const findAll = (selector, within = document) => [...within.querySelectorAll(selector)];

/** Make an element: attributes by name ("class", "aria-label", ...), then children: elements or texts. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Make an element of a chart. */
function makeShape(tag, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}

/** A name from outside, kept from turning the text beside it around; line breaks and the like become signs. */
const named = (text) => make("bdi", {}, cleanText(text));
const cleanText = (text) => text.replace(/\s/g, " ").replace(/[\u0000-\u001f\u007f-\u009f]/g, "\ufffd");

const numberText = (number) => number.toLocaleString("en-US");
const countOf = (number, singular) => `${numberText(number)} ${number === 1 ? singular : singular + (singular.endsWith("s") ? "es" : "s")}`;

/** A share with the figures that count; only nothing shows as "0" and only everything as "100 %". */
function shareText(share) {
  const percent = 100 * share;
  if (percent === 0) return "0";
  if (percent === 100) return "100 %";
  if (percent > 99) return `${Math.min(percent, 99.9).toFixed(1)} %`;
  const decimals = Math.max(0, 1 - Math.floor(Math.log10(percent)));
  const shown = percent.toFixed(decimals);
  return `${decimals ? shown.replace(/\.?0+$/, "") : shown} %`;
}

/** The value of the chosen one of several radio buttons. */
const chosen = (name) => find(`input[name="${name}"]:checked`)?.value;
const onChoice = (name, act) => findAll(`input[name="${name}"]`).forEach((input) => input.addEventListener("change", () => act(input.value)));
