// Refines the server's countdown: the page already says how long the car is held; with a script it counts.
//
// Counted against the page's own clock from the seconds that the server stated, so a wrong clock does no harm.

const shown = document.querySelector("[data-countdown]");

if (shown) {
  const ends = performance.now() + Number(shown.dataset.countdown) * 1000;
  const show = () => {
    const left = Math.max(0, Math.round((ends - performance.now()) / 1000));
    if (left === 0) {
      shown.textContent = shown.dataset.over;
      return;
    }
    shown.textContent = `${String(Math.floor(left / 60)).padStart(2, "0")}:${String(left % 60).padStart(2, "0")}`;
    setTimeout(show, 1000);
  };
  show();
}
