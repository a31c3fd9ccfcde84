"""The script inside the SVG: zoom by click, search; the picture is whole without it.

The part after ``#`` of the address is the search, so a marked picture can be linked to.
"""

from __future__ import annotations

__all__ = ["SCRIPT"]

SCRIPT = """
(function () {
  'use strict';
  var svg = document.documentElement, NS = 'http://www.w3.org/2000/svg';
  if (svg.nodeName !== 'svg' || !svg.viewBox) { return; }
  var box = svg.viewBox.baseVal, margin = 10, letter = 6.7;
  var frames = Array.prototype.map.call(svg.querySelectorAll('#frames > .f'), function (g) {
    var r = g.querySelector('rect'), t = g.querySelector('text'), name = g.querySelector('title').textContent;
    return { g: g, r: r, t: t, name: name, label: name.replace(/ \\([^()]*\\)$/, ''),
             x: +r.getAttribute('x'), w: +r.getAttribute('width'), y: +r.getAttribute('y') };
  });
  if (!frames.length) { return; }
  function button(words, right, act) {
    var t = document.createElementNS(NS, 'text');
    t.setAttribute('class', 'b'); t.setAttribute('x', box.width - margin - right); t.setAttribute('y', margin + 14);
    t.setAttribute('text-anchor', 'end'); t.textContent = words; t.addEventListener('click', act);
    svg.appendChild(t);
    return t;
  }
  function zoom(to) {
    var scale = (box.width - 2 * margin) / to.w, right = to.x + to.w;
    frames.forEach(function (f) {
      var around = f.y <= to.y && f.x <= to.x + 0.06 && f.x + f.w >= right - 0.06;
      var inside = f.x >= to.x - 0.06 && f.x + f.w <= right + 0.06;
      var shown = around || inside;
      f.g.style.display = shown ? '' : 'none';
      if (!shown) { return; }
      var x = around ? margin : margin + (f.x - to.x) * scale, w = around ? box.width - 2 * margin : f.w * scale;
      f.r.setAttribute('x', x); f.r.setAttribute('width', w); f.t.setAttribute('x', x + 3);
      f.g.classList.toggle('out', around && f !== to && to !== frames[0]);
      var n = Math.floor((w - 6) / letter);
      f.t.textContent = f.label.length <= n ? f.label : n < 4 ? '' : f.label.slice(0, n - 1) + '\\u2026';
    });
    reset.style.display = to === frames[0] ? 'none' : '';
  }
  function search(words) {
    var w = 0, end = -1, wanted = words.toLowerCase();
    frames.forEach(function (f) {
      var hit = wanted !== '' && f.name.toLowerCase().indexOf(wanted) >= 0;
      f.g.classList.toggle('hit', hit);
    });
    if (wanted !== '') {
      frames.filter(function (f) { return f.g.classList.contains('hit'); })
        .sort(function (a, b) { return a.x - b.x || b.w - a.w; })
        .forEach(function (f) {
          var from = Math.max(f.x, end);
          if (f.x + f.w > from) { w += f.x + f.w - from; end = f.x + f.w; }
        });
    }
    var share = (100 * w / frames[0].w).toFixed(1);
    find.textContent = wanted === '' ? 'search' : 'found ' + share + ' %: ' + words.slice(0, 20);
  }
  var find = button('search', 0, function () {
    var words = window.prompt('Frames that contain', '');
    if (words !== null) { search(words); }
  });
  var reset = button('show all', 240, function () { zoom(frames[0]); });
  reset.style.display = 'none';
  frames.forEach(function (f) {
    f.g.style.cursor = 'pointer';
    f.g.addEventListener('click', function () { zoom(f); });
  });
  function linked() {
    var words = '';
    try { words = decodeURIComponent(window.location.hash.slice(1)); } catch (e) { words = ''; }
    search(words);
  }
  window.addEventListener('hashchange', linked);
  linked();
}());
"""
