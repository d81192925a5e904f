// Tabs of the panel: one sheet shows at a time; arrow keys move between their names.

// Returns a function that opens a tab by its name.
function attachTabs(element) {
  const tabs = [...element.querySelectorAll("[data-tab]")];
  const open = (name) => {
    for (const tab of tabs) {
      const chosen = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", chosen);
      tab.tabIndex = chosen ? 0 : -1;
      element.querySelector("[data-tab-panel=" + tab.dataset.tab + "]").hidden = !chosen;
    }
  };
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => open(tab.dataset.tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const next = tabs.at((place + step) % tabs.length);
      open(next.dataset.tab);
      next.focus();
    });
  });
  open(tabs[0].dataset.tab);
  return open;
}
