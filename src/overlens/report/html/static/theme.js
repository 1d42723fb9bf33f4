// The theme: that of the system, until someone chooses; kept where the browser lets a page keep something.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  try {
    const kept = localStorage.getItem("overlens-theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch { /* a page from disk may not keep anything */ }
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const say = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
    const changed = () => { say(); document.dispatchEvent(new Event("themechange")); };
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      try { localStorage.setItem("overlens-theme", root.dataset.theme); } catch { /* as above */ }
      changed();
    });
    system.addEventListener("change", changed);
    say();
  });
})();
