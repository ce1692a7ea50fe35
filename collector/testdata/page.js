// What is wrong with the page that is open, for who uses a phone, a keyboard or a screen reader: a list of sentences. The
// numbers are those of WCAG 2.2.
(() => {
  const wrong = [], say = (rule, e) => wrong.push(rule + ": " + (e ? e.outerHTML.slice(0, 160) : ""));
  const all = (css) => [...document.querySelectorAll(css)];
  const shown = (e) => e.getClientRects().length > 0;
  if (!document.documentElement.lang) say("3.1.1 no language");
  if (!document.title.trim()) say("2.4.2 no title");
  if (all("main").length !== 1 || all("h1").length !== 1) say("1.3.1 not one main and one h1");
  let level = 1;
  for (const h of all("h1, h2, h3, h4")) {
    if (+h.tagName[1] > level + 1) say("1.3.1 a heading skips a level", h);
    level = +h.tagName[1];
  }
  for (const e of all("input:not([type=hidden]), select, textarea"))
    if (!e.labels.length && !e.getAttribute("aria-label")) say("4.1.2 no label", e);
  for (const e of all("a[href], button"))
    if (shown(e) && !e.textContent.trim() && !e.getAttribute("aria-label")) say("4.1.2 no name", e);
  for (const e of all("img, svg:not([aria-hidden])"))
    if (!e.hasAttribute("alt") && !e.getAttribute("aria-label") && !e.querySelector("title")) say("1.1.1 no text for a picture", e);
  for (const e of all("table th")) if (!e.scope) say("1.3.1 a heading of a table without scope", e);
  for (const e of all("nav")) if (!e.getAttribute("aria-label")) say("2.4.1 a nav without a name", e);
  const ids = all("[id]").map((e) => e.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) say("4.1.1 an id twice", document.getElementById(id));
  for (const e of all("a[href], button, input:not([type=hidden]), select, textarea"))
    if (shown(e) && !e.disabled && e.tabIndex !== 0) say("2.1.1 not in the order of the keyboard", e);
  for (const e of all("pre"))
    if (e.scrollWidth > e.clientWidth && e.tabIndex !== 0) say("2.1.1 scrolls, and not by the keyboard", e);
  const channels = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = channels(getComputedStyle(e).backgroundColor);
      if (c.length && (c.length < 4 || c[3] === 1)) return c;
    }
    return [255, 255, 255];
  };
  for (const e of all("body *")) {
    if (!shown(e) || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const style = getComputedStyle(e), a = light(channels(style.color)), b = light(ground(e));
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < (large ? 3 : 4.5)) say("1.4.3 too little contrast", e);
  }
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > wide) {
    const out = all("body *").filter((e) => e.getBoundingClientRect().right > wide + 1 && !e.closest("table, pre, .away, .skip"));
    say("1.4.10 wider than the page (" + document.documentElement.scrollWidth + " of " + wide + ")", out[out.length - 1]);
  }
  return wrong;
})();
