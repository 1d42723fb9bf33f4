// The matched points of a pair: small details that were found in both pictures and fit how one lies on the other.
import { ask, Gone, Refused } from "./server.js";

const COLOURS = ["#ffd400", "#00d5f0", "#ff6ac8", "#8cf05a", "#ff9d2e", "#b9a2ff"];
const DOT_PX = 3.5;

export function openMatches(view, say) {
  const canvas = find("#points");
  const box = find("#points-on");
  const kept = new Map(); // pair -> its points, of those seen last
  let pair = null;
  let points = [];

  async function show(next) {
    [pair, points] = [next, []];
    draw();
    if (!box.checked || !next) return;
    const found = await pointsOf(next);
    if (pair !== next || !box.checked || !found) return;
    points = found;
    canvas.dataset.n = String(points.length);
    draw();
    if (!points.length) say("No matched points: nothing was found in both that fits.");
  }

  async function pointsOf(next) {
    const key = `${next.id} ${next.left.row}`;
    if (!kept.has(key)) {
      try {
        const found = (await ask(`points/${next.id}`, new URLSearchParams({ left: next.left.row }))).points;
        kept.set(key, found);
        if (kept.size > 50) kept.delete(kept.keys().next().value);
      } catch (error) {
        if (!(error instanceof Gone || error instanceof Refused)) throw error;
        say(error instanceof Refused ? error.message : "The matched points could not be fetched.");
        return null;
      }
    }
    return kept.get(key);
  }

  function draw() {
    const scale = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    if (!points.length) return;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    points.forEach(([x1, y1, x2, y2], place) => {
      const [from, to] = [view.spotOf("left", x1, y1), view.spotOf("right", x2, y2)];
      pen.strokeStyle = pen.fillStyle = COLOURS[place % COLOURS.length];
      if (from && to) drawLine(pen, from, to);
      for (const spot of [from, to]) if (spot) drawDot(pen, spot);
    });
  }

  function drawLine(pen, from, to) {
    pen.globalAlpha = 0.6;
    pen.lineWidth = 1.2;
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
    pen.globalAlpha = 1;
  }

  function drawDot(pen, spot) {
    pen.beginPath();
    pen.arc(...spot, DOT_PX, 0, 2 * Math.PI);
    pen.fill();
    pen.save();
    pen.strokeStyle = "#101010";
    pen.lineWidth = 1;
    pen.stroke();
    pen.restore();
  }

  function set(isOn) {
    box.checked = isOn;
    delete canvas.dataset.n;
    say(isOn ? "Matched points are shown." : "Matched points are hidden.");
    return show(pair);
  }

  view.onPlace(draw);
  return { show, set, toggle: () => set(!box.checked), clear: () => { [pair, points] = [null, []]; draw(); } };
}
