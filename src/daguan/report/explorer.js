"use strict";
/* The explorer of a report. All text of the data goes into the page by textContent, isolated by <bdi>: a token that looks
   like HTML, or that is written from right to left, is text. */
(function () {
  const ROW = 58, MARGIN = 6, MOST_PLACES = 50, BEFORE = 12, AROUND = 5;
  const CORRECT = 0, MISSED = 7, NO_GOLD = 255;
  const $ = (id) => document.getElementById(id), store = page.store;

  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "text") node.textContent = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
  }
  const bdi = (text) => make("bdi", { text });

  // The data: columns of numbers become typed arrays.
  const data = JSON.parse($("page-data").textContent);
  const KINDS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array };
  function column(packed) {
    const text = atob(packed.base64), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return new KINDS[packed.type](bytes.buffer);
  }
  const columns = (packed) => Object.fromEntries(Object.entries(packed).map(([name, one]) => [name, column(one)]));
  const L = data.lines, S = data.strings, tokens = data.tokens, kindNames = data.kinds;
  const text = column(L.text), first = column(L.first), folds = column(L.folds);
  const tracks = L.tracks.map((one) => ({ ...one, ...columns(one.columns) }));
  const gold = tracks[0], goldLines = gold.first.length - 1;
  const sides = L.marginals, unsure = column(sides.tokens), tags = column(sides.tag), sureness = column(sides.probability);
  const words = { first: column(S.first), text: column(S.text), corpus: column(S.corpus), count: column(S.count), rank: column(S.rank) };
  const neighbours = { left: columns(S.left), right: columns(S.right) }, snippets = columns(S.places);
  const near = S.near && { string: column(S.near.string), cosine: column(S.near.cosine), known: column(S.near.known), each: S.near.each };
  const ids = new Map(tokens.map((token, id) => [token, id]));
  let texts = data.texts || null, idsOfText = null;
  const shown = (id) => (texts && texts[id] !== null && texts[id] !== undefined ? texts[id] : tokens[id]);
  const joiner = () => (texts ? " " : "_");
  const stringNumbers = new Map();
  for (let i = 0; i + 1 < words.first.length; i++) stringNumbers.set(words.text.subarray(words.first[i], words.first[i + 1]).join(" "), i);
  const isTest = (line) => line >= L.train;
  const nameOf = (line) => (isTest(line) ? data.files.test + " " + (line - L.train + 1) : data.files.train + " " + (line + 1));
  const colour = (label) => `--c: var(--t${label % 8})`;
  const percent = (value) => (100 * value).toFixed(2);
  const many = (value) => value.toLocaleString("en");

  // Filters.
  const state = { part: "train", track: 1, fold: -1, types: new Set(), kinds: new Set(), low: 0, high: 255, query: null, list: [], line: -1, from: -1, to: -1 };
  const option = (value, label) => make("option", { value, text: label });
  $("part").append(option("train", "train, out of fold"), option("test", "test"), option("all", "all"));
  $("track").append(...tracks.slice(1).map((one, index) => option(index + 1, one.name)));
  $("fold").append(option(-1, "all"), ...[...new Set(folds.subarray(0, L.train))].sort((a, b) => a - b).map((fold) => option(fold, String(fold))));

  function lineRange() {
    return state.part === "train" ? [0, L.train] : state.part === "test" ? [L.train, L.lines] : [0, L.lines];
  }

  /* Counts and matching lines in one pass over columns. Counts of a chip leave its own group of filters out of account. */
  function filter() {
    const track = tracks[state.track], [from, to] = lineRange(), ours = track.first.length - 1;
    const byKind = new Uint32Array(256), byType = new Uint32Array(L.labels.length), list = [];
    const typed = new Uint8Array(L.labels.length), kinded = new Uint8Array(256);
    typed.fill(state.types.size ? 0 : 1); for (const label of state.types) typed[label] = 1;
    kinded.fill(state.kinds.size ? 0 : 1); for (const kind of state.kinds) kinded[kind] = 1;
    const { low, high, fold } = state, line = state.query && state.query.line;
    const narrow = state.types.size || state.kinds.size || low > 0 || high < 255;
    const places = state.query && state.query.ids ? new Set(occurrences(state.query.ids).map(lineOf)) : null;
    let hits = 0, predicted = 0, golds = 0, scored = 0;
    for (let at = from; at < to; at++) {
      if (fold >= 0 && folds[at] !== fold) continue;
      if (places && !places.has(at)) continue;
      if (line && line !== at - (isTest(at) ? L.train : 0) + 1) continue;
      let matches = !narrow;
      if (at < ours)
        for (let i = track.first[at], end = track.first[at + 1]; i < end; i++) {
          const label = track.label[i], kind = track.kind[i], confidence = track.probability[i];
          if (confidence < low || confidence > high) continue;
          byType[label] += kinded[kind];
          if (!typed[label]) continue;
          byKind[kind]++;
          if (kinded[kind]) matches = true;
          if (kind !== NO_GOLD) { predicted++; if (kind === CORRECT) hits++; }
        }
      if (at < goldLines) {
        scored++;
        for (let i = gold.first[at], end = gold.first[at + 1]; i < end; i++) {
          const label = gold.label[i];
          golds += typed[label];
          if (track.fate[i] !== MISSED || low > 0) continue;
          byType[label] += kinded[MISSED];
          if (!typed[label]) continue;
          byKind[MISSED]++;
          if (kinded[MISSED]) matches = true;
        }
      }
      if (matches) list.push(at);
    }
    return { list, byKind, byType, hits, predicted, golds, scored };
  }

  function chip(group, key, label, count) {
    const pressed = group.has(key);
    const dot = group === state.types ? make("span", { class: "dot", style: colour(key), "aria-hidden": "true" }) : null;
    return make("button", { type: "button", class: "chip", "aria-pressed": String(pressed), onclick: () => {
      if (pressed) group.delete(key); else group.add(key);
      const own = group === state.types ? "types" : "kinds";
      update();
      const again = [...$(own).children].find((node) => node.dataset.key === String(key));
      if (again) again.focus();
    }, "data-key": key }, dot, bdi(label), make("i", { text: many(count) }));
  }

  function update(keep) {
    const began = performance.now(), found = filter();
    state.list = found.list;
    $("types").replaceChildren(...L.labels.map((label, index) => chip(state.types, index, label, found.byType[index])));
    const known = [...kindNames.keys()].filter((kind) => found.byKind[kind] || state.kinds.has(kind));
    if (found.byKind[NO_GOLD]) known.push(NO_GOLD);
    $("kinds").replaceChildren(...known.map((kind) => chip(state.kinds, kind, kind === NO_GOLD ? "not scored" : kindNames[kind], found.byKind[kind])));
    const precision = found.hits / (found.predicted || 1), recall = found.hits / (found.golds || 1);
    const f1 = found.predicted + found.golds ? (2 * found.hits) / (found.predicted + found.golds) : 0;
    const parts = [make("strong", { text: many(found.list.length) + (found.list.length === 1 ? " line" : " lines") })];
    if (found.scored) parts.push(` · ${many(found.hits)} right of ${many(found.predicted)} found and ${many(found.golds)} gold`);
    if (found.scored && !(state.low > 0 || state.high < 255)) parts.push(` · P ${percent(precision)} R ${percent(recall)} F1 ${percent(f1)}`);
    if (state.query && state.query.error) parts.push(" · " + state.query.error);
    $("summary").replaceChildren(...parts);
    $("summary").dataset.counts = JSON.stringify([found.hits, found.predicted, found.golds]);
    $("summary").dataset.milliseconds = (performance.now() - began).toFixed(1);
    if (!keep) { list.scrollTop = 0; }
    draw();
    if (!keep && found.list.length && !found.list.includes(state.line)) open(found.list[0], true);
  }

  function ask(typed) {
    const wanted = typed.trim(), line = wanted.match(/^line=(\d+)$/);
    if (!wanted) return null;
    if (line) return { line: Number(line[1]) };
    const asked = wanted.replace(/^string=/, "");
    if (ids.has(asked)) return { ids: [ids.get(asked)] };
    const pieces = asked.split(/[_\s]+/).filter(Boolean).map((piece) => (ids.has(piece) ? ids.get(piece) : idsOfText ? idsOfText.get(piece) : undefined));
    const whole = idsOfText ? [...asked.replace(/\s+/g, "")].map((letter) => idsOfText.get(letter)) : [undefined];
    if (!pieces.includes(undefined)) return { ids: pieces };
    if (whole.length && !whole.includes(undefined)) return { ids: whole };
    return { ids: [-1], error: "no such token" };
  }

  function occurrences(wanted) {
    const found = [], [head, ...rest] = wanted;
    for (let at = text.indexOf(head); at >= 0; at = text.indexOf(head, at + 1)) {
      if (rest.every((id, index) => text[at + 1 + index] === id) && lineOf(at) === lineOf(at + rest.length)) found.push(at);
    }
    return found;
  }

  function lineOf(place) {
    let low = 0, high = L.lines;
    while (low + 1 < high) { const middle = (low + high) >> 1; if (first[middle] <= place) low = middle; else high = middle; }
    return low;
  }

  // The list, of which only the visible rows are in the page.
  const list = $("list"), spacer = make("div", { "aria-hidden": "true" });
  list.append(spacer);
  const drawn = new Map();

  function draw() {
    spacer.style.height = state.list.length * ROW + "px";
    const from = Math.max(0, Math.floor(list.scrollTop / ROW) - MARGIN);
    const to = Math.min(state.list.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + MARGIN);
    for (const node of drawn.values()) node.remove();
    drawn.clear();
    for (let index = from; index < to; index++) {
      const node = row(index);
      drawn.set(index, node);
      list.append(node);
    }
    const at = state.list.indexOf(state.line);
    if (at >= 0 && drawn.has(at)) list.setAttribute("aria-activedescendant", "row" + at); else list.removeAttribute("aria-activedescendant");
  }
  let waiting = false;
  list.addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; draw(); }); } });
  addEventListener("resize", draw);

  function spansIn(track, line) {
    const found = [];
    if (line < track.first.length - 1)
      for (let i = track.first[line]; i < track.first[line + 1]; i++)
        found.push({ start: track.start[i], stop: track.start[i] + track.length[i], label: track.label[i], kind: track.kind ? track.kind[i] : CORRECT, probability: track.probability ? track.probability[i] / 255 : 1, index: i });
    return found;
  }

  function row(index) {
    const line = state.list[index], track = tracks[state.track], ours = spansIn(track, line), theirs = spansIn(gold, line);
    const wrong = ours.filter((one) => one.kind !== CORRECT && one.kind !== NO_GOLD), missed = theirs.filter((one) => track.fate[one.index] === MISSED);
    const meta = make("div", { class: "meta" }, make("span", { text: nameOf(line) }), isTest(line) ? null : make("span", { text: "fold " + folds[line] }));
    if (wrong.length + missed.length) meta.append(make("span", { class: "err", text: `${wrong.length + missed.length} wrong` }));
    else if (theirs.length) meta.append(make("span", { class: "ok", text: `${theirs.length} right` }));
    if (marks.has(line)) meta.append(make("span", { text: "✎ marked" }));
    const focus = [...wrong, ...missed, ...ours, ...theirs].map((one) => one.start), begin = Math.max(0, (focus.length ? Math.min(...(wrong.length + missed.length ? [...wrong, ...missed].map((one) => one.start) : focus)) : 0) - 6);
    const stop = Math.min(first[line + 1] - first[line], begin + 60), snip = make("div", { class: "snip" });
    if (begin) snip.append("… ");
    for (let at = begin; at < stop;) {
      const mine = ours.find((one) => one.start <= at && at < one.stop), its = theirs.find((one) => one.start <= at && at < one.stop);
      let end = at + 1;
      const same = (place) => ours.find((one) => one.start <= place && place < one.stop) === mine && theirs.find((one) => one.start <= place && place < one.stop) === its;
      while (end < stop && same(end)) end++;
      const piece = bdi(wordsOf(line, at, end));
      snip.append(mine || its ? make("span", { class: "mark" + (its ? " gold" : "") + (mine ? " ours" : ""), style: colour((its || mine).label) }, piece, make("small", {}, bdi(typesOf(its, mine)))) : piece, " ");
      at = end;
    }
    return make("div", { class: "row", role: "option", id: "row" + index, style: `top: ${index * ROW}px`, "aria-selected": String(line === state.line), "aria-posinset": index + 1, "aria-setsize": state.list.length, onclick: () => open(line) }, meta, snip);
  }
  const typesOf = (its, mine) => [its, mine].filter(Boolean).map((one) => L.labels[one.label]).filter((name, at, all) => !at || name !== all[0]).join(" → ");  // gold → ours
  const wordsOf = (line, from, to) => { const found = []; for (let at = first[line] + from; at < first[line] + to; at++) found.push(shown(text[at])); return found.join(" "); };

  function move(by) {
    if (!state.list.length) return;
    const at = state.list.indexOf(state.line), next = Math.max(0, Math.min(state.list.length - 1, at < 0 ? 0 : at + by));
    if (next * ROW < list.scrollTop) list.scrollTop = next * ROW;
    else if ((next + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (next + 1) * ROW - list.clientHeight;
    open(state.list[next]);
  }
  list.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
    const by = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 }[event.key];
    if (by && !event.ctrlKey && !event.metaKey) { event.preventDefault(); move(by); }
    if (event.key === "Enter") { event.preventDefault(); const token = $("detail").querySelector(".tok"); if (token) token.focus(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, select, textarea")) { event.preventDefault(); $("query").focus(); $("explorer").scrollIntoView(); }
  });

  // A line: its tokens in blocks as wide as the pane, and below each block a rail for every track.
  function open(line, quiet) {
    state.line = line;
    const spans = spansIn(tracks[state.track], line).filter((one) => one.kind !== CORRECT && one.kind !== NO_GOLD);
    const chosen = spans[0] || spansIn(gold, line)[0] || spansIn(tracks[state.track], line)[0];
    [state.from, state.to] = chosen ? [chosen.start, chosen.stop] : [0, 1];
    if (!quiet) for (const node of drawn.values()) node.setAttribute("aria-selected", String(state.list[Number(node.id.slice(3))] === line));
    draw();
    detail();
  }

  function detail(focus) {
    const line = state.line, pane = $("detail"), length = first[line + 1] - first[line];
    const head = make("h3", {}, nameOf(line), make("span", { class: "note", text: isTest(line) ? "" : ` · held out by fold ${folds[line]}` }), make("span", { class: "note", text: ` · ${many(length)} ${length === 1 ? "token" : "tokens"}` }));
    const rails = tracks.filter((one) => line < one.first.length - 1).map((one) => ({ name: one.name, gold: one.role === "gold", spans: spansIn(one, line) }));
    if (marks.has(line)) rails.push({ name: "correction", gold: true, spans: marks.get(line).spans });
    const room = Math.max(24, Math.floor((pane.clientWidth - 210) / 8.2)), blocks = [];
    for (let at = 0; at < length;) {
      let end = at, used = 0;
      while (end < length && (end === at || used + wide(line, end) <= room)) used += wide(line, end++);
      blocks.push(block(line, at, end, rails));
      at = end;
    }
    const top = pane.scrollTop;
    pane.replaceChildren(head, ...blocks, corrections(line), ...place(line));
    pane.scrollTop = focus === undefined ? 0 : top;
    if (focus !== undefined) { const token = pane.querySelector(`.tok[data-at="${focus}"]`); if (token) token.focus({ preventScroll: true }); }
  }
  const wide = (line, at) => { let size = 0; for (const letter of shown(text[first[line] + at])) size += letter > "\u1100" ? 2 : 1; return size + 1.6; };

  function block(line, from, to, rails) {
    const grid = make("div", { class: "block", style: `grid-template-columns: 9.5rem repeat(${to - from}, minmax(min-content, max-content))` });
    grid.append(make("span", { class: "who", text: `${from + 1}–${to}` }));
    for (let at = from; at < to; at++) {
      const global = first[line] + at, isUnsure = unsureAt(global) >= 0, chosen = at >= state.from && at < state.to;
      grid.append(make("span", { class: "tok" + (isUnsure ? " unsure" : "") + (chosen ? " chosen" : ""), tabindex: at === state.from || (at === from && (state.from < from || state.from >= to)) ? 0 : -1, role: "button", "data-at": at, "data-place": global, "aria-label": shown(text[global]) + ". " + marginalText(global).replaceAll("\n", "; "), onclick: (event) => choose(at, event.shiftKey), onkeydown: (event) => step(event, at, length(line)), title: texts ? tokens[text[global]] : null }, bdi(shown(text[global]))));
    }
    const within = rails.some((rail) => rail.spans.some((one) => one.stop > from && one.start < to));
    for (const rail of within ? rails : []) {
      const number = rails.indexOf(rail) + 2;
      grid.append(make("span", { class: "who", style: `grid-row: ${number}; grid-column: 1`, title: rail.name }, bdi(rail.name)));
      grid.append(make("span", { class: "rail", style: `grid-row: ${number}; grid-column: 2 / ${to - from + 2}`, "aria-hidden": "true" }));
      for (const one of rail.spans) {
        if (one.stop <= from || one.start >= to) continue;
        const begin = Math.max(one.start, from) - from + 2, end = Math.min(one.stop, to) - from + 2, wrong = one.kind !== CORRECT && one.kind !== NO_GOLD && one.kind !== undefined;
        const name = L.labels[one.label] + (rail.gold ? "" : " " + one.probability.toFixed(2));
        const said = `${name}, ${rail.name}, tokens ${one.start + 1} to ${one.stop}` + (wrong ? ", " + kindNames[one.kind] : "");
        grid.append(make("button", { type: "button", class: "span" + (rail.gold ? " gold" : "") + (wrong ? " wrong" : ""), style: `${colour(one.label)}; grid-row: ${number}; grid-column: ${begin} / ${end}`, title: said, "aria-label": said, onclick: () => { state.from = one.start; state.to = one.stop; detail(one.start); } }, bdi(name)));
      }
    }
    return grid;
  }
  const length = (line) => first[line + 1] - first[line];

  function choose(at, extend) {
    if (extend && state.from >= 0) { state.to = Math.max(at + 1, state.to); state.from = Math.min(at, state.from); if (at + 1 > state.from && at < state.to - 1 && at > state.from) state.to = at + 1; }
    else [state.from, state.to] = [at, at + 1];
    detail(at);
  }
  function step(event, at, size) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) {
      event.preventDefault();
      const next = Math.max(0, Math.min(size - 1, at + by));
      if (event.shiftKey) { state.from = Math.min(state.from, next); state.to = by < 0 && next >= state.from && next < state.to - 1 ? next + 1 : Math.max(state.to, next + 1); } else [state.from, state.to] = [next, next + 1];
      detail(next);
    }
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(at, event.shiftKey); }
    if (event.key === "Escape") list.focus();
  }

  function unsureAt(place) {
    let low = 0, high = unsure.length - 1;
    while (low <= high) { const middle = (low + high) >> 1; if (unsure[middle] === place) return middle; if (unsure[middle] < place) low = middle + 1; else high = middle - 1; }
    return -1;
  }
  function marginalText(place) {
    const at = unsureAt(place);
    if (at < 0) return `every member is over ${(100 * sides.sure).toFixed(0)} % sure`;
    return sides.tracks.map((name, number) => {
      const base = (at * sides.tracks.length + number) * sides.best, found = [];
      for (let i = 0; i < sides.best; i++) if (sureness[base + i]) found.push(`${sides.tags[tags[base + i]]} ${(sureness[base + i] / 255).toFixed(2)}`);
      return `${name}: ${found.join(", ")}`;
    }).join("\n");
  }

  // The chosen string and all its places.
  function place(line) {
    const wanted = [...text.subarray(first[line] + state.from, first[line] + state.to)], found = occurrences(wanted);
    const number = stringNumbers.get(wanted.join(" "));
    const inTest = found.filter((at) => at >= first[L.train]).length, corpus = number === undefined ? null : words.corpus[number];
    const labels = new Map(), answer = tracks[1];
    const labelAt = (at, one) => {
      const where = lineOf(at), start = at - first[where];
      const hit = spansIn(one, where).find((span) => span.start < start + wanted.length && span.stop > start);
      return !hit ? "o" : hit.start === start && hit.stop === start + wanted.length ? L.labels[hit.label] : `in ${L.labels[hit.label]}`;
    };
    for (const at of found) if (lineOf(at) < goldLines) { const label = labelAt(at, gold); labels.set(label, (labels.get(label) || 0) + 1); }
    const listed = (title, pairs) => make("div", {}, make("h3", { text: title }), make("ul", {}, ...(pairs.length ? pairs.map(([name, value, act]) => make("li", {}, act ? make("button", { type: "button", class: "link", onclick: act }, bdi(name)) : make("span", {}, bdi(name)), make("span", { text: value }))) : [make("li", { class: "note", text: "none" })])));
    const counts = [["train", many(found.length - inTest)], ["test", many(inTest)], ["corpus", corpus === null ? "only entities are counted" : many(corpus) + (S.corpus_whole ? "" : ` in its first ${many(S.corpus_tokens)} tokens`)]];
    if (number !== undefined) counts.push(["rank by frequency", `${many(words.rank[number])} of ${many(words.rank.length)} strings`]);
    const side = (name) => {
      const one = neighbours[name];
      if (number === undefined) {
        const tally = new Map();
        for (const at of found) { const where = lineOf(at), next = name === "left" ? at - 1 : at + wanted.length; const id = next < first[where] || next >= first[where + 1] ? 0 : text[next] + 1; tally.set(id, (tally.get(id) || 0) + 1); }
        return [...tally].sort((a, b) => b[1] - a[1]).slice(0, 5).map(([id, count]) => [id ? shown(id - 1) : "end of the line", many(count)]);
      }
      const pairs = [];
      for (let i = one.first[number]; i < one.first[number + 1]; i++) pairs.push([one.token[i] ? shown(one.token[i] - 1) : "end of the line", many(one.count[i])]);
      return pairs;
    };
    const similar = [];
    if (near && number !== undefined && number < near.known.length && near.known[number])
      for (let i = 0; i < near.each; i++) { const other = near.string[number * near.each + i]; if (near.cosine[number * near.each + i]) similar.push([textOf(other), (near.cosine[number * near.each + i] / 255).toFixed(2), () => search(other)]); }
    const shownPlaces = found.slice(0, MOST_PLACES), rows = shownPlaces.map((at) => {
      const where = lineOf(at), start = at - first[where], end = start + wanted.length;
      return context(wordsOf(where, Math.max(0, start - BEFORE), start), wordsOf(where, end, Math.min(length(where), end + BEFORE)), [where < goldLines ? labelAt(at, gold) : "", where < answer.first.length - 1 ? labelAt(at, answer) : ""], nameOf(where), () => jump(where, start, end));
    });
    if (number !== undefined)
      for (let i = 0; i < snippets.string.length && rows.length < MOST_PLACES; i++) {
        if (snippets.string[i] !== number) continue;
        const around = [...snippets.text.subarray(snippets.first[i], snippets.first[i + 1])].map(shown), at = snippets.at[i];
        rows.push(context(around.slice(0, at).join(" "), around.slice(at + wanted.length).join(" "), ["", ""], `${data.files.corpus} ${snippets.line[i]}`, null));
      }
    const total = found.length + (corpus || 0);
    return [
      make("h3", {}, "String ", make("span", { class: "mono" }, bdi(wanted.map(shown).join(joiner())))),
      make("div", { class: "cols" }, listed("Places", counts), listed("Gold labels", [...labels].sort((a, b) => b[1] - a[1]).map(([label, count]) => [label, many(count)])), listed("Left neighbours", side("left")), listed("Right neighbours", side("right")), listed("Nearest strings", similar)),
      make("h3", { text: rows.length < total ? `${rows.length} of its ${many(total)} places` : total === 1 ? "Its only place" : `Its ${many(total)} places` }),
      make("table", { class: "places" }, make("caption", { class: "vh", text: "Places of the string with its gold label and the blend's" }), make("tbody", {}, ...rows)),
    ];
  }
  function context(before, after, labels, where, act) {
    const name = labels[0] || labels[1] ? `${labels[0] || "?"} · ${labels[1]}` : "";
    return make("tr", {}, make("td", { class: "l" }, bdi(before)), make("td", { class: "w", text: name, title: "gold · blend" }), make("td", { class: "r" }, bdi(after)), make("td", { class: "w" }, act ? make("button", { type: "button", class: "link", text: where, onclick: act }) : make("span", { text: where })));
  }
  const textOf = (number) => [...words.text.subarray(words.first[number], words.first[number + 1])].map(shown).join(joiner());
  function search(number) {
    $("query").value = [...words.text.subarray(words.first[number], words.first[number + 1])].map((id) => tokens[id]).join("_");
    state.part = $("part").value = "all";
    state.query = ask($("query").value);
    state.line = -1;
    update();
    const at = state.query.ids && occurrences(state.query.ids)[0];
    if (at !== undefined) jump(lineOf(at), at - first[lineOf(at)], at - first[lineOf(at)] + state.query.ids.length);
  }
  function jump(line, from, to) { open(line, true); [state.from, state.to] = [from, to]; detail(); const at = state.list.indexOf(line); if (at >= 0) list.scrollTop = Math.max(0, at * ROW - list.clientHeight / 2); draw(); }

  // Corrections, kept in this browser until they are exported.
  const marks = new Map(), KEY = "daguan-corrections-" + data.key;
  for (const [line, mark] of JSON.parse((store && store.getItem(KEY)) || "[]")) marks.set(line, mark);
  function mark(line, spans, note) {
    const before = marks.get(line);
    if (spans === null) marks.delete(line);
    else marks.set(line, { spans: spans.map(({ start, stop, label }) => ({ start, stop, label })).sort((a, b) => a.start - b.start), note: note === undefined ? (before ? before.note : "") : note });
    if (store) store.setItem(KEY, JSON.stringify([...marks]));
    exports();
    draw();
    detail(state.from);
  }
  function exports() {
    const button = $("export");
    button.disabled = !marks.size;
    button.textContent = marks.size ? `Export ${many(marks.size)} correction${marks.size > 1 ? "s" : ""}` : "Export corrections";
  }
  function corrections(line) {
    const now = () => (marks.has(line) ? marks.get(line).spans : spansIn(line < goldLines ? gold : tracks[1], line));
    const type = make("select", { "aria-label": "type" }, ...L.labels.map((label, index) => option(index, label)));
    const from = make("select", { "aria-label": "labels to take" }, option("", "take the labels of …"), ...tracks.map((one, index) => (line < one.first.length - 1 ? option(index, one.name) : null)).filter(Boolean));
    from.addEventListener("change", () => { if (from.value) mark(line, spansIn(tracks[Number(from.value)], line)); });
    const apart = (one) => one.stop <= state.from || one.start >= state.to;
    const note = make("input", { type: "text", placeholder: "note", "aria-label": "note", value: marks.has(line) ? marks.get(line).note : "" });
    note.addEventListener("change", () => mark(line, now(), note.value));
    return make("div", { class: "edit" }, make("span", { text: "Correct:" }), from, make("button", { type: "button", class: "btn", text: "the string is", onclick: () => mark(line, [...now().filter(apart), { start: state.from, stop: state.to, label: Number(type.value) }]) }), type, make("button", { type: "button", class: "btn", text: "it is no entity", onclick: () => mark(line, now().filter(apart)) }), note, marks.has(line) ? make("button", { type: "button", class: "btn", text: "undo", onclick: () => mark(line, null) }) : null);
  }
  $("export").addEventListener("click", () => {
    const records = [...marks].sort((a, b) => a[0] - b[0]).map(([line, one]) => {
      const names = [...text.subarray(first[line], first[line + 1])].map((id) => tokens[id]), ranges = [];
      let reached = 0;
      for (const name of names) { const size = [...name].length; ranges.push([reached, reached + size]); reached += size + 1; }
      return JSON.stringify({ file: isTest(line) ? data.files.test : data.files.train, line: line - (isTest(line) ? L.train : 0) + 1, text: names.join(" "), tokens: ranges, label: one.spans.map((span) => [ranges[span.start][0], ranges[span.stop - 1][1], L.labels[span.label]]), note: one.note });
    });
    const link = make("a", { href: URL.createObjectURL(new Blob([records.join("\n") + "\n"], { type: "application/jsonl" })), download: "corrections.jsonl" });
    document.body.append(link);
    link.click();
    link.remove();
  });

  // Real text, from a file that stays on this machine.
  function known() { idsOfText = texts ? new Map(texts.map((one, id) => [one, id])) : null; }
  $("vocabulary").addEventListener("change", async (event) => {
    const file = event.target.files[0];
    if (!file) return;
    const escapes = { "\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r", "\\ufeff": "\ufeff" };
    const table = new Map((await file.text()).split("\n").filter(Boolean).map((line) => { const tab = line.indexOf("\t"); return [line.slice(0, tab), line.slice(tab + 1).replace(/\\(?:ufeff|.)/g, (found) => escapes[found] ?? found)]; }));
    texts = tokens.map((token) => table.get(token) ?? null);
    known();
    update(true);
    if (state.line >= 0) detail();
  });

  // Controls.
  const control = (id, act) => $(id).addEventListener("change", () => { act($(id).value); state.line = -1; update(); });
  control("part", (value) => { state.part = value; });
  control("track", (value) => { state.track = Number(value); });
  control("fold", (value) => { state.fold = Number(value); });
  control("low", (value) => { state.low = Math.round(255 * Number(value) / 100); });
  control("high", (value) => { state.high = Math.round(255 * Number(value) / 100); });
  let timer = 0;
  $("query").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => { state.query = ask($("query").value); state.line = -1; update(); chooseQuery(); }, 120); });
  function chooseQuery() {
    if (!state.query || !state.query.ids || state.line < 0) return;
    const at = occurrences(state.query.ids).find((one) => lineOf(one) === state.line);
    if (at !== undefined) { [state.from, state.to] = [at - first[state.line], at - first[state.line] + state.query.ids.length]; detail(); }
  }
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const button of document.querySelectorAll("button[data-line]"))
    button.addEventListener("click", () => {
      const [line, from, to] = button.dataset.line.split(",").map(Number);
      $("explorer").scrollIntoView();
      jump(line, from, to);
    });
  known();
  exports();
  update();
  page.hintOf = (token) => marginalText(Number(token.dataset.place));
  window.daguan = { state, update, filter, tracks };  // for tests in a browser
})();
