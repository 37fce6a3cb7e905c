// Makes elements. Whatever comes from the proxy goes in as text: names and statements are chosen by strangers.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'on') {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element with attributes, listeners under `on`, and children: elements or text. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same of SVG. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Puts a text there, unless it is there already. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A list of names and values. */
export function pairs(entries) {
  const list = make('dl', { class: 'pairs' });
  for (const [name, value] of entries) {
    list.append(make('div', {}, make('dt', {}, name), make('dd', {}, value)));
  }
  return list;
}

let numbers = 0;

/** An id that no other element has. */
export function fresh(prefix) {
  numbers += 1;
  return `${prefix}-${numbers}`;
}
