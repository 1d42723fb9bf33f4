// Wheel, mouse and fingers on a pane: enlarge, move, and drag the line of the swipe.

const WHEEL_STEP = 0.0018;
const DOUBLE_ZOOM = 3;

/**
 * Tell what is done to a pane: `zoom(factor, spot)`, `drag(x, y)` in pixels, `swipe(share)` of its width.
 * `isSwiped(x)` says whether a press there takes the line, `isZoomed()` whether there is anything to move.
 */
export function followFingers(pane, { zoom, drag, swipe, isSwiped, isZoomed }) {
  const fingers = new Map();
  let isSwipe = false;

  const spotOf = (event) => {
    const box = pane.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  pane.addEventListener("wheel", (event) => {
    if (!isZoomed() && event.deltaY > 0 && !event.ctrlKey) return; // nothing to make smaller: the page scrolls
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 * event.deltaY : event.deltaY;
    zoom(Math.exp(-pixels * WHEEL_STEP * (event.ctrlKey ? 5 : 1)), spotOf(event));
  }, { passive: false });

  pane.addEventListener("dblclick", (event) => zoom(isZoomed() ? 1e-9 : DOUBLE_ZOOM, spotOf(event)));

  pane.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    fingers.set(event.pointerId, spotOf(event));
    isSwipe = fingers.size === 1 && isSwiped(spotOf(event)[0]);
    pane.setPointerCapture(event.pointerId);
    if (isSwipe) swipe(spotOf(event)[0] / pane.clientWidth);
  });

  pane.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = spotOf(event);
    fingers.set(event.pointerId, now);
    if (fingers.size === 2) pinch(event.pointerId, before, now);
    else if (isSwipe) swipe(now[0] / pane.clientWidth);
    else if (isZoomed()) drag(now[0] - before[0], now[1] - before[1]);
  });

  function pinch(moved, before, now) {
    const other = [...fingers].find(([finger]) => finger !== moved)[1];
    const apart = (spot) => Math.max(1, Math.hypot(spot[0] - other[0], spot[1] - other[1]));
    zoom(apart(now) / apart(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    drag((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }

  const lift = (event) => { fingers.delete(event.pointerId); };
  pane.addEventListener("pointerup", lift);
  pane.addEventListener("pointercancel", lift);
}
