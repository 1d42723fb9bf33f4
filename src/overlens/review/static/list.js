// The pairs that fit the filters, in their order, fetched in pages as far as someone goes.
import { ask } from "./server.js";

const FIRST_PAGE = 40;
const PAGE = 200;

export function openList() {
  let pairs = [];
  let places = new Map();
  let filters = {};
  let n = 0;
  let isWhole = false;
  let fetching = Promise.resolve();

  const isStable = () => (filters.judged ?? "any") === "any";

  function request(more) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...filters, ...more })) {
      for (const one of [value].flat()) if (one !== "" && one !== null && one !== undefined) query.append(name, one);
    }
    return ask("pairs", query);
  }

  // Equal files make pairs of one id, answered together; only with the images' rows is a pair known for itself.
  const keyOf = (pair) => `${pair.id} ${pair.left.row} ${pair.right.row}`;

  function take(found) {
    const before = pairs.length;
    for (const pair of found) {
      if (places.has(keyOf(pair))) continue;
      places.set(keyOf(pair), pairs.length);
      pairs.push(pair);
    }
    return pairs.length > before;
  }

  /** Keep what was answered to a pair, here for all that have its id. */
  function setAnswer(id, answer) {
    for (const pair of pairs) if (pair.id === id) pair.answer = answer;
  }

  async function open(chosen) {
    const page = await (filters = chosen, request({ offset: 0, limit: FIRST_PAGE }));
    if (filters !== chosen) return; // someone chose again meanwhile
    [pairs, places, n, isWhole] = [[], new Map(), page.n, false];
    take(page.pairs);
    isWhole = pairs.length >= n;
  }

  /**
   * Fetch further pairs. Where the list is of pairs judged or not, answers given meanwhile move what follows to
   * other places, so it is read from its beginning until something comes that is not known yet.
   */
  async function fetchMore() {
    const of = filters;
    let offset = isStable() ? pairs.length : 0;
    while (!isWhole) {
      const page = await request({ offset, limit: PAGE });
      if (filters !== of) return;
      offset += page.pairs.length;
      if (take(page.pairs)) return;
      isWhole = page.pairs.length === 0 || offset >= page.n;
    }
    n = pairs.length;
  }

  /** Have at least so many pairs, or all. */
  async function reach(count) {
    while (pairs.length < count && !isWhole && pairs.length < n) {
      fetching = fetching.catch(() => {}).then(() => (pairs.length < count ? fetchMore() : undefined));
      await fetching;
    }
  }

  /** The place of a pair, or -1. */
  async function findPlace(id) {
    const placeOf = () => pairs.findIndex((pair) => pair.id === id);
    while (placeOf() < 0 && !isWhole && pairs.length < n) await reach(pairs.length + 1);
    return placeOf();
  }

  /** The first place from here on that nobody has judged, then from the beginning; -1 if there is none. */
  async function nextOpen(from) {
    for (let place = from; ; place += 1) {
      await reach(place + 1);
      if (place >= pairs.length) break;
      if (!pairs[place].answer) return place;
    }
    return pairs.findIndex((pair) => !pair.answer);
  }

  /** The first place that nobody has judged, without fetching all before it twice. */
  async function firstOpen() {
    const place = pairs.findIndex((pair) => !pair.answer);
    if (place >= 0 || !isStable()) return place;
    const page = await request({ judged: "no", offset: 0, limit: 1 });
    return page.pairs.length ? findPlace(page.pairs[0].id) : -1;
  }

  /** Read the answers around a place again, as other windows may have given some. */
  async function refresh(place) {
    const page = isStable()
      ? await request({ offset: Math.max(0, place - 20), limit: PAGE })
      : await ask("pairs", new URLSearchParams({ query: pairs[place].left.name, judged: "any", offset: 0, limit: PAGE }));
    const answers = new Map(page.pairs.map((one) => [one.id, one.answer]));
    for (const pair of pairs) if (answers.has(pair.id)) pair.answer = answers.get(pair.id);
  }

  return {
    open, reach, nextOpen, firstOpen, refresh, setAnswer,
    find: findPlace,
    at: (place) => pairs[place],
    get n() { return n; },
    get loaded() { return pairs.length; },
  };
}
