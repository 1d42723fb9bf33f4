// The pairs that fit the filters, in their order, fetched where someone looks, with what counts on them by now.
//
// Pairs that are listed whether judged or not keep their places: what is held of them has gaps. Those listed because
// they are judged, or are not, move whenever somebody answers: they are held in the order in which they came.
import { ask } from "./server.js";

const PAGE = 100;

export function openList() {
  let pairs = [];
  let places = new Map();
  let filters = {};
  let wanted = filters; // those of a list that is on its way
  let n = 0;
  let firstOpen = -1; // where places are kept: the first that nobody has judged
  let isWhole = false;
  let time = 0; // goes on whenever anybody said something
  const lookedAt = new WeakMap(); // pair -> the time of its answer
  let turn = Promise.resolve();

  const keepsPlaces = () => (filters.judged ?? "any") === "any";
  const isOfNow = (pair) => pair !== undefined && lookedAt.get(pair) === time;
  // Equal files make pairs of one id, answered together; only with the images' rows is a pair known for itself.
  const keyOf = (pair) => `${pair.id} ${pair.left.row} ${pair.right.row}`;

  function request(chosen) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(chosen)) {
      for (const one of [value].flat()) if (one !== "" && one !== null && one !== undefined) query.append(name, one);
    }
    return ask("pairs", query);
  }

  /** One request after the other, so that nothing is fetched twice. */
  function inTurn(work) {
    turn = turn.catch(() => {}).then(work);
    return turn;
  }

  function hold(found, place, asked) {
    const pair = (pairs[place] ??= found);
    places.set(keyOf(pair), place);
    if (asked < time && lookedAt.has(pair)) return; // somebody said something after this was asked
    Object.assign(pair, { answer: found.answer, note: found.note, number: found.number });
    lookedAt.set(pair, asked);
  }

  /** Keep what counts on a pair by now, here for all that have its id. */
  function put(id, { answer, note, number }) {
    pairs.forEach((pair) => { if (pair.id === id) Object.assign(pair, { answer, note, number }); });
  }

  /** Begin a list; whether it is the one that is still wanted when it is there. */
  async function open(chosen) {
    wanted = chosen;
    const asked = time;
    const page = await request({ ...chosen, offset: 0, limit: PAGE });
    if (wanted !== chosen) return false;
    filters = chosen;
    [pairs, places, n, firstOpen, isWhole] = [[], new Map(), page.n, page.first_open, page.pairs.length >= page.n];
    page.pairs.forEach((pair, place) => hold(pair, place, asked));
    return true;
  }

  async function fetchPage(place) {
    const [of, asked, offset] = [filters, time, place - (place % PAGE)];
    const page = await request({ ...of, offset, limit: PAGE });
    if (filters !== of) return;
    [n, firstOpen] = [page.n, page.first_open];
    page.pairs.forEach((pair, step) => hold(pair, offset + step, asked));
  }

  /** Where places move: read from the beginning until something comes that is not held yet. */
  async function fetchMore() {
    const [of, asked, before] = [filters, time, pairs.length];
    for (let offset = 0; pairs.length === before && !isWhole; offset += PAGE) {
      const page = await request({ ...of, offset, limit: PAGE });
      if (filters !== of) return;
      for (const pair of page.pairs) hold(pair, places.get(keyOf(pair)) ?? pairs.length, asked);
      isWhole = offset + PAGE >= page.n;
    }
    if (isWhole) n = pairs.length;
  }

  /** Where places move: what counts on one pair, which may not be of the list any more, found by its names. */
  async function fetchOne(pair) {
    const [of, asked] = [filters, time];
    const narrow = { judged: "any", query: pair.left.name, dataset: pair.left.dataset, other: pair.right.dataset };
    for (let offset = 0, isLast = false; !isLast && lookedAt.get(pair) !== asked; offset += PAGE) {
      const page = await request({ ...of, ...narrow, offset, limit: PAGE });
      if (filters !== of) return;
      for (const one of page.pairs) if (places.has(keyOf(one))) hold(one, places.get(keyOf(one)), asked);
      isLast = offset + PAGE >= page.n;
    }
  }

  /** Have the pair of a place, if there is one. */
  async function reach(place) {
    while (!pairs[place] && place >= 0 && place < n) {
      await inTurn(() => { if (!pairs[place]) return keepsPlaces() ? fetchPage(place) : fetchMore(); });
    }
  }

  /** Have the pair of a place, if there is one, with what counts on it by now. */
  async function look(place) {
    await reach(place);
    if (!pairs[place] || isOfNow(pairs[place])) return;
    await inTurn(() => { if (pairs[place] && !isOfNow(pairs[place])) return keepsPlaces() ? fetchPage(place) : fetchOne(pairs[place]); });
  }

  /** The first place from here on that nobody has judged by now, then from the beginning; -1 if there is none. */
  async function nextOpen(from) {
    await look(Math.min(from, n - 1));
    if (keepsPlaces() && firstOpen < 0) return -1;
    for (let place = keepsPlaces() ? Math.max(from, firstOpen) : from; place < n; place += 1) if (await isOpen(place)) return place;
    for (let place = keepsPlaces() ? firstOpen : 0; place < Math.min(from, n); place += 1) if (await isOpen(place)) return place;
    return -1;
  }

  async function isOpen(place) {
    await reach(place);
    if (!pairs[place] || pairs[place].answer) return false;
    await look(place);
    return !pairs[place].answer;
  }

  /** The place of a pair, sought from a place outwards, or -1. */
  async function findPlace(id, near) {
    const held = () => pairs.findIndex((pair) => pair?.id === id);
    if (pairs[near]?.id === id) return near;
    const pages = Array.from({ length: Math.ceil(n / PAGE) }, (_, page) => page * PAGE);
    if (keepsPlaces()) pages.sort((one, other) => Math.abs(one - near) - Math.abs(other - near));
    for (const place of pages) {
      if (held() >= 0) break;
      await reach(Math.min(place + PAGE, n) - 1);
    }
    return held();
  }

  return {
    open, reach, look, nextOpen, put,
    find: findPlace,
    /** Somebody said something: what is held is looked at again where it is needed. */
    age: () => { time += 1; },
    at: (place) => pairs[place],
    /** Whether it lists what was judged, to be judged once more. */
    get isJudged() { return !["any", "no"].includes(filters.judged ?? "any"); },
    get n() { return n; },
    get firstOpen() { return firstOpen; },
  };
}
